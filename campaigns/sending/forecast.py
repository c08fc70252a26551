"""How long a campaign will take, from the same rules that the dispatcher obeys. Pure; seconds."""

import heapq


def forecast(messages: int, senders: int, latency: float, message_delay: float, switch_delay: float) -> float:
    """Seconds from the first send to the last answer, for senders that nobody else uses.

    Exact for a constant answer `latency`. With several senders and a switch delay the campaign's messages go one by
    one around the circle, and a sender waits for the later of its own delay and the switch.
    """
    if messages <= 0:
        return 0.0
    q, r = divmod(messages - 1, senders)
    if senders == 1 or switch_delay == 0:
        return q * (latency + message_delay) + latency
    step = latency + switch_delay
    return q * max(latency + message_delay, senders * step) + r * step + latency


def replay(messages: int, message_delays: list[float], latency: float, switch_delay: float) -> float:
    """The same by playing the rules, for senders with delays of their own (one entry a sender).

    With a switch delay the turn waits for a lane that is paced; without one each lane works on its own share.
    """
    if messages <= 0:
        return 0.0
    senders = len(message_delays)
    if senders == 1 or switch_delay == 0:
        shares = [len(range(position, messages, senders)) for position in range(senders)]
        return max(
            (share - 1) * (latency + delay) + latency
            for share, delay in zip(shares, message_delays, strict=True)
            if share
        )
    ready = [0.0] * senders
    answered = -switch_delay
    for index in range(messages):
        position = index % senders
        answered = max(ready[position], answered + switch_delay) + latency
        ready[position] = answered + message_delays[position]
    return answered


def soonest(before: int, senders: int, message_delay: float, switch_delay: float) -> float:
    """Seconds until a message may leave at the earliest that has so many before it in its campaign.

    Whoever of the senders is able to send, and however fast WAHA answers; `message_delay` is the shortest of them.
    """
    together = forecast(before + 1, senders, 0.0, message_delay, switch_delay)
    if senders == 1 or switch_delay == 0:
        return together
    return min(together, forecast(before + 1, 1, 0.0, message_delay, 0.0))  # one that is left alone never switches


def shares(messages: int, able: int) -> list[int]:
    """How many of `messages` each of `able` senders gets when they are dealt in turn."""
    return [len(range(position, messages, able)) for position in range(able)]


def fastest(messages: int, message_delays: list[float], latency: float) -> float:
    """Seconds for `rotation = "fastest"` without a switch delay: any free lane takes the next recipient."""
    if messages <= 0:
        return 0.0
    free = [(0.0, position) for position in range(len(message_delays))]
    heapq.heapify(free)
    finish = 0.0
    for _ in range(messages):
        start, position = heapq.heappop(free)
        finish = max(finish, start + latency)
        heapq.heappush(free, (start + latency + message_delays[position], position))
    return finish
