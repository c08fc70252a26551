"""QR codes read from pictures, as a phone's camera would."""

import cv2
import numpy as np

DISTANCES = (1.0, 2.0)
"""How much larger a picture is looked at, in turns, as a hand would be moved."""


def decode_qr(png: bytes) -> str:
    """What the QR code in a picture (a screenshot) says; empty if there is none that can be read.

    OpenCV's first detector misses one code in twelve whose modules are 4 or 5 pixels wide, from any distance; its other
    one, which comes from the search for markers, does not.
    """
    picture = cv2.imdecode(np.frombuffer(png, dtype=np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None, "this is no picture"
    detector = cv2.QRCodeDetectorAruco()
    for distance in DISTANCES:
        nearer = cv2.resize(picture, None, fx=distance, fy=distance, interpolation=cv2.INTER_NEAREST)
        text, _, _ = detector.detectAndDecode(nearer)
        if text:
            return str(text)
    return ""
