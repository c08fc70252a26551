"""The three engines and where they differ."""

from http import HTTPStatus

from gateway.simulator.config import EngineName
from gateway.simulator.engine import Engine
from gateway.simulator.errors import EngineFault, JsonObject
from gateway.simulator.ids import make_jid
from gateway.simulator.messages import ACK_NAMES, Message


class Gows(Engine):
    """whatsmeow: 201 means accepted by WhatsApp's server; sends of a session queue behind one lock."""

    name = "GOWS"
    reconnects = "backoff"
    serial_sends = True

    def send_answer(self, message: Message) -> JsonObject:
        """The id as a string."""
        return {"id": self.full_id(message), "_data": self.raw(message)}

    def refusal(self, chat_id: str) -> EngineFault | None:
        """gRPC's UNKNOWN with whatsmeow's message."""
        text = f"no LID found for {make_jid(chat_id)} from server"
        return EngineFault(f"2 UNKNOWN: {text}", code=2, details=text)

    def restricted(self) -> EngineFault | None:
        """WhatsApp's 463."""
        return self.server_error(463)

    def timed_out(self) -> EngineFault:
        """After 75 s; whether the message went out is not known."""
        text = "timed out waiting for message send response"
        return EngineFault(f"2 UNKNOWN: {text}", code=2, details=text)

    def socket_closed(self) -> EngineFault:
        """whatsmeow's ErrNotConnected."""
        text = "websocket not connected"
        return EngineFault(f"2 UNKNOWN: {text}", code=2, details=text)

    def server_error(self, code: int = 500) -> EngineFault:
        """A refusal by WhatsApp's server."""
        text = f"server returned error {code}"
        return EngineFault(f"2 UNKNOWN: {text}", code=2, details=text)

    def raw(self, message: Message) -> JsonObject:
        """whatsmeow's event."""
        jid = make_jid(message.chat_id)
        info = {"ID": message.id, "Chat": jid, "IsFromMe": message.from_me, "Timestamp": message.timestamp}
        if message.author:
            info["PushName"] = message.author
        return {"Info": info, "Message": {"conversation": message.text}}

    def exists_json(self, chat_id: str | None) -> JsonObject:
        """Always with chatId and pn, null for a number that is not on WhatsApp."""
        return {"numberExists": chat_id is not None, "chatId": chat_id, "pn": chat_id}

    def state_json(self, *, working: bool) -> JsonObject:
        """The state of the gRPC channel and of whatsmeow's client."""
        return {
            "engine": self.name,
            "grpc": {"client": "READY", "stream": "READY"},
            "gows": {"found": True, "connected": working},
        }


class Noweb(Engine):
    """Baileys: 201 means handed over; WhatsApp's word is a later message.ack, 1 or -1."""

    name = "NOWEB"
    reconnects = "steady"
    stop_seconds = 1.0
    first_ack = 1
    starts_again_after_pairing = True
    logout_spoils_login = True

    def send_answer(self, message: Message) -> JsonObject:
        """Baileys' raw message, without an id on top."""
        return {**self.raw(message), "status": "PENDING"}

    def refusal(self, chat_id: str) -> EngineFault | None:
        """Nothing is thrown: 201 now, ack -1 later."""
        return None

    def restricted(self) -> EngineFault | None:
        """Nothing is thrown: 201 now, ack -1 later."""
        return None

    def timed_out(self) -> EngineFault:
        """Boom 408."""
        return _boom("Timed Out", 408, "Request Time-out")

    def socket_closed(self) -> EngineFault:
        """Boom 428."""
        return _boom("Connection Closed", 428, "Precondition Required")

    def server_error(self, code: int = 500) -> EngineFault:
        """A Boom of that code."""
        phrase = HTTPStatus(code).phrase
        return _boom(phrase, code, phrase)

    def raw(self, message: Message) -> JsonObject:
        """Baileys' WebMessageInfo."""
        return {
            "key": {"remoteJid": make_jid(message.chat_id), "fromMe": message.from_me, "id": message.id},
            "message": {"extendedTextMessage": {"text": message.text}},
            "messageTimestamp": str(message.timestamp),
            **({"pushName": message.author} if message.author else {}),
        }


class Webjs(Engine):
    """whatsapp-web.js: ids are objects and made by the page; a send's own `id` is ignored."""

    name = "WEBJS"
    reconnects = "reload"
    stop_seconds = 3.0
    unpair_seconds = 3.0
    honours_ids = False
    bare_lookup = False
    first_ack = 1
    browser = "/usr/bin/google-chrome-stable"

    def send_answer(self, message: Message) -> JsonObject:
        """whatsapp-web.js' Message object."""
        return {
            "_data": self.raw(message),
            "id": self._id_object(message),
            "ack": 0,
            "hasMedia": message.media is not None,
            "body": message.text,
            "type": "chat" if message.media is None else message.kind,
            "timestamp": message.timestamp,
            "from": message.me,
            "to": message.chat_id,
            "fromMe": message.from_me,
            "hasQuotedMsg": message.reply_to is not None,
            "vCards": [],
            "links": [],
        }

    def refusal(self, chat_id: str) -> EngineFault | None:
        """The page's own error."""
        return EngineFault("No LID for user")

    def restricted(self) -> EngineFault | None:
        """The page's own error, which does not say why."""
        return self.server_error()

    def timed_out(self) -> EngineFault:
        """The browser did not answer in time."""
        return EngineFault(
            "Runtime.callFunctionOn timed out. Increase the 'protocolTimeout' setting in launch/connect calls "
            "for a higher timeout if needed.",
            name="ProtocolError",
        )

    def socket_closed(self) -> EngineFault:
        """The page is gone."""
        return EngineFault("Protocol error (Runtime.callFunctionOn): Target closed", name="TargetCloseError")

    def server_error(self, code: int = 500) -> EngineFault:
        """An error of the page, which says nothing."""
        return EngineFault("Evaluation failed: r", name="Error")

    def raw(self, message: Message) -> JsonObject:
        """The page's message model."""
        raw = {"id": self._id_object(message), "body": message.text, "t": message.timestamp}
        return {**raw, "notifyName": message.author} if message.author else raw

    def message_json(self, message: Message) -> JsonObject:
        """As the others', but `from` and `to` are the real ends."""
        ends = (message.me, message.chat_id) if message.from_me else (message.chat_id, message.me)
        return {**super().message_json(message), "from": ends[0], "to": ends[1], "vCards": []}

    def ack_json(self, message: Message, ack: int, chat_id: str) -> JsonObject:
        """The whole message as it is now."""
        payload = {**self.message_json(message), "ack": ack, "ackName": ACK_NAMES[ack]}
        return {**payload, "id": self.full_id(message).replace(message.chat_id, chat_id), "to": chat_id}

    def state_json(self, *, working: bool) -> JsonObject:
        """What the browser's page says."""
        state = "CONNECTED" if working else "OPENING"
        return {"engine": self.name, "WWebVersion": "2.3000.1023204257", "state": state}

    def _id_object(self, message: Message) -> JsonObject:
        return {
            "fromMe": message.from_me,
            "remote": message.chat_id,
            "id": message.id,
            "_serialized": self.full_id(message),
        }


def make_engine(name: EngineName) -> Engine:
    """The engine of that name."""
    engines: dict[EngineName, type[Engine]] = {"GOWS": Gows, "NOWEB": Noweb, "WEBJS": Webjs}
    return engines[name]()


def _boom(message: str, code: int, error: str) -> EngineFault:
    output = {"statusCode": code, "payload": {"statusCode": code, "error": error, "message": message}}
    return EngineFault(message, data=None, isBoom=True, isServer=code >= 500, output=output)
