"""nftui: a flow collector, a flow store and a keyboard-driven dashboard."""

__version__ = "0.1.0"
