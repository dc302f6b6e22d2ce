"""The simulated network of `nftui demo`: exporters described in TOML send real NetFlow, IPFIX and sFlow datagrams over loopback.

network -> hosts, conversations (with scenarios) -> meter -> exporters (encoded by nftui.export) -> UDP
"""

from nftui.demo.exporters import DemoExporters, Sent, run_process
from nftui.demo.network import Network, load_network

__all__ = ["DemoExporters", "Network", "Sent", "load_network", "run_process"]
