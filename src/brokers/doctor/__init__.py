"""`python -m src doctor`: whether trading on TWS would work from here, and if not, what to change. Orders nothing."""
