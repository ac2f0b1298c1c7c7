"""What a benchmark gives: figures, each beside what it is to be held against, measured in the same run."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A measurement; `against` is a floor or a peer in the same unit, measured in the same run or known."""

    name: str
    value: float
    unit: str
    against: float
    against_what: str

    def __str__(self) -> str:
        """Write it as a line."""
        ratio = f"{self.value / self.against:6.2f} x"
        beside = f"{ratio} {self.against:10.4g} {self.unit} ({self.against_what})"
        return f"{self.name:<50} {self.value:10.4g} {self.unit:<9}{beside}"
