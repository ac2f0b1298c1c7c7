"""The figures that a benchmark yields, each with a value of the same run to compare it with."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A measurement; `against` is a floor, a peer or a target in the same unit."""

    name: str
    value: float
    unit: str
    against: float
    against_what: str

    def __str__(self) -> str:
        """Return the figure as one line."""
        ratio = f"{self.value / self.against:6.2f} x"
        beside = f"{ratio} {self.against:10.4g} {self.unit} ({self.against_what})"
        return f"{self.name:<50} {self.value:10.4g} {self.unit:<9}{beside}"
