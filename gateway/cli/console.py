"""What goes to stdout for people: wrapped and indented in a terminal, whole lines elsewhere."""

from rich.console import Console
from rich.padding import Padding
from rich.text import Text


def make_console() -> Console:
    """The console of a command; numbers and paths are not coloured by guesswork."""
    return Console(highlight=False)


def tell(console: Console, text: Text, indent: int = 0) -> None:
    """One sentence. Wrapped lines keep the indent; where nobody looks, in a pipe, nothing is wrapped or padded."""
    if console.is_terminal:
        console.print(Padding(text, (0, 0, 0, indent)))
    else:
        console.print(Text.assemble(" " * indent, text), soft_wrap=True)
