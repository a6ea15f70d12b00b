"""The report of the rehearsal: steps with evidence, printed one by one and rendered as a self-contained page."""

import base64
import time
from dataclasses import dataclass, field
from html import escape

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24 }
section { border-top: 1px solid #d0d7de; padding: .5rem 0 }
h2 small { color: #57606a; font-weight: normal }
img { height: 7rem; margin-right: .4rem; border-radius: .3rem }
td, th { text-align: left; padding: .1rem 1rem .1rem 0; vertical-align: top; font-weight: normal; color: #57606a }
td { color: inherit; font-family: ui-monospace, monospace; font-size: .85rem; overflow-wrap: anywhere }
"""


@dataclass(frozen=True)
class Step:
    """A step: its title, its evidence by name, and its pictures (JPEG)."""

    title: str
    evidence: dict[str, object]
    pictures: tuple[bytes, ...] = ()
    seconds: float = 0.0


@dataclass
class Report:
    """The steps so far."""

    steps: list[Step] = field(default_factory=list)
    _last: float = field(default_factory=time.monotonic)

    def add(self, title: str, *pictures: bytes, **evidence: object) -> dict[str, object]:
        """Print a step, add it to the report, and return its evidence."""
        seconds, self._last = time.monotonic() - self._last, time.monotonic()
        self.steps.append(Step(title, evidence, pictures, seconds))
        print(f"\n{len(self.steps)}. {title}")
        for name, value in evidence.items():
            print(f"   {name.replace('_', ' ')}: {value}")
        return evidence

    def to_html(self) -> str:
        """Return the report as HTML."""
        parts = [
            f"<section><h2>{number}. {escape(step.title)} <small>{step.seconds:.0f} s</small></h2>"
            + "".join(
                f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(p).decode()}">'
                for p in step.pictures
            )
            + "<table>"
            + "".join(
                f"<tr><th>{escape(name.replace('_', ' '))}</th><td>{escape(str(value))}</td></tr>"
                for name, value in step.evidence.items()
            )
            + "</table></section>"
            for number, step in enumerate(self.steps, 1)
        ]
        return (
            '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f"<title>MaskWatch: a rehearsal</title><style>{_STYLE}</style><h1>A model is replaced</h1>"
            f"{''.join(parts)}"
        )
