"""What to do about messages that were not sent, by their `error_code`. Pure."""

ADVICE = {
    "not_on_whatsapp": "Remove the number from your list, or correct it: WhatsApp does not know it.",
    "rejected": "WAHA did not take the message as it is: look at its text, its file and the number.",
    "refused_by_whatsapp": "WhatsApp took it back after it was sent. Wait a day; write only to people who expect it.",
    "not_supported": "The WAHA server's engine cannot send this. Send it through another server, or without its file.",
    "media_gone": "Its file is not stored any more: make a new campaign with the file.",
    "gave_up": "It was tried as often as dispatch.max_attempts says. Look at the server, then retry what has failed.",
    "unconfirmed": "Nobody knows whether it was sent: ask the recipient, then resend it or accept it as sent.",
    "expired": "It waited longer than expires_at. Give the next campaign more time, more senders or shorter delays.",
    "too_late": "Its time had passed by more than max_lateness while nothing could be sent: have senders connected.",
    "missing_variable": "Give the recipient the values that the text asks for, or a fallback in the text.",
    "text_too_long": "Shorten the text, or the recipient's own values in it.",
    "opted_out": "The recipient asked not to be written to. Nothing is to be done.",
    "frequency_cap": "The recipient was written to often enough lately. Send it later.",
    "replied": "The recipient answered, and the campaign was to stop then. Answer in the inbox.",
}
OTHER = "Look at the reason; what has failed can be retried."


def advice_for(code: str) -> str:
    """What to do about messages that ended with this code."""
    return ADVICE.get(code, OTHER)
