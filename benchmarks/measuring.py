"""What both sides report, in the same words."""

import json
from pathlib import Path


def peak_memory_mb() -> float | None:
    """The most memory this process ever held, in MB; None where the system does not say."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count the parent's memory at the fork
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return round(int(peak.split()[1]) / 1024, 1)
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2, 1)


def report(*, fills: int, final_equity: float, bars: int, seconds: float) -> None:
    """One JSON object on stdout. `seconds` is the replay alone, without imports and loading."""
    print(
        json.dumps(
            {
                "fills": fills,
                "final_equity": round(float(final_equity), 2),
                "bars_per_second": round(bars / seconds),
                "seconds": round(seconds, 3),
                "peak_memory_mb": peak_memory_mb(),
            }
        )
    )
