"""What the upload routes give."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from campaigns.sending.media import MediaKind


class UploadOut(BaseModel):
    """A file that may be sent."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01a1fb76-b031-7b43-9d8e-a57d616216a6",
                    "media_url": "upload:01a1fb76-b031-7b43-9d8e-a57d616216a6",
                    "mimetype": "image/jpeg",
                    "kind": "image",
                    "filename": "menu.jpg",
                    "size": 182044,
                    "created_at": "2026-11-21T09:00:00Z",
                    "kept_until": "2026-11-22T09:00:00Z",
                }
            ]
        }
    )

    id: str
    media_url: str = Field(description="To be given as the `media_url` of a campaign")
    mimetype: str = Field(description="By its content")
    kind: MediaKind = Field(description="As which kind of WhatsApp message it goes")
    filename: str
    size: int
    created_at: datetime
    kept_until: datetime = Field(description="Then it is removed, unless a campaign needs it longer")
