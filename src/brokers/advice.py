"""What to change, for each thing a search may find: TWS's menu, the address to trust, the rule to paste. Pure.

A cure is lines for a person: the first says what to do, the rest how and where; lines that begin with blanks are to be
pasted.
`docs/wsl.md` and `docs/tws_setup.md` tell the same at length.
"""

from typing import Final

from src.brokers.findings import LOCAL_HOST, OLDEST_SERVER_VERSION, Finding, Network, Outcome

Cure = tuple[str, ...]

MENU: Final = "Where: File > Global Configuration > API > Settings (IB Gateway: Configure > Settings > API > Settings)."
_START: Final = "Start TWS or IB Gateway and log in to the paper account"
#: Where WSL's NAT network takes its addresses from.
_WSL_ADDRESSES: Final = "172.16.0.0/12"
_PROXY_PORT: Final = 17497


def cure(finding: Finding) -> Cure:
    """What to change so that this address answers; nothing where TWS does."""
    return _CURES.get(finding.outcome, lambda _: ())(finding)


def stale_address(named: Finding, found: Finding) -> Cure:
    """What to change where TWS answers, but not at the address that was set."""
    return (
        f"Set IBKR_HOST_IP={found.host}, or IBKR_HOST_IP=auto to look for it each time: TWS answers at {found.where}",
        f"IBKR_HOST_IP is {named.host} now; under WSL's NAT network Windows' address changes at each reboot.",
    )


def firewall_rules(port: int) -> Cure:
    """Two forms of the rule that lets WSL reach TWS, to paste into an elevated PowerShell."""
    rule = f'    New-NetFirewallRule -DisplayName "TWS API from WSL" -Direction Inbound -Protocol TCP -LocalPort {port}'
    return (
        f"{rule} -Action Allow -RemoteAddress {_WSL_ADDRESSES}",
        "or, for WSL's network adapter alone, whose name differs between versions of Windows,",
        f'{rule} -Action Allow -InterfaceAlias "vEthernet (WSL*)"',
    )


def _trust(finding: Finding) -> str:
    """How TWS comes to trust our end of the connection."""
    if finding.is_local:
        return f'tick "Enable ActiveX and Socket Clients", and have {LOCAL_HOST} in "Trusted IPs"'
    ours = finding.our_address or "the address that `hostname -I` prints first"
    return f'add {ours} to "Trusted IPs", and untick "Allow connections from localhost only"'


def _lasting_trust(finding: Finding) -> Cure:
    """What else there is to know of Trusted IPs, and how that is made to last."""
    if finding.is_local:
        return ()
    exact = "That is this machine as TWS sees it. Name exact addresses: IB Gateway refuses ranges."
    if finding.network is not Network.NAT:
        return (exact,)
    proxy = f"    netsh interface portproxy add v4tov4 listenport={_PROXY_PORT} connectaddress={LOCAL_HOST}"
    return (
        exact,
        "WSL's address changes when Windows restarts, and TWS must then be told again. Two cures last:",
        "1. Windows 11: mirrored networking. In %UserProfile%\\.wslconfig",
        "    [wsl2]",
        "    networkingMode=mirrored",
        "then, in PowerShell (this ends every WSL session)",
        "    wsl --shutdown",
        f"and TWS is at {LOCAL_HOST}, which it trusts from the start.",
        f"2. Any Windows: a port proxy, so that TWS sees {LOCAL_HOST}. In PowerShell as administrator",
        f"{proxy} connectport={finding.port}",
        *firewall_rules(_PROXY_PORT)[:1],
        f"and here IBKR_PORT={_PROXY_PORT}.",
    )


def _not_listening(finding: Finding) -> Cure:
    on_windows = finding.network is Network.NAT and finding.is_local
    return (
        f"{_START}{' on Windows' if on_windows else ''}",
        'In its API settings, tick "Enable ActiveX and Socket Clients".',
        f"The socket port there must be {finding.port}, or IBKR_PORT be what it is (paper: TWS 7497, IB Gateway 4002).",
        MENU,
    )


def _filtered(finding: Finding) -> Cure:
    if finding.is_local and finding.network is Network.MIRRORED:
        return (
            *_not_listening(finding),
            "If it runs: mirrored networking hangs at times. In PowerShell (this ends every WSL session)",
            "    wsl --update",
            "    wsl --shutdown",
            "and if that does not help, take networkingMode=mirrored out of %UserProfile%\\.wslconfig.",
        )
    if finding.is_local:
        return _not_listening(finding)
    if finding.network is Network.NAT:
        return (
            f"Start TWS on Windows, or let WSL through Windows' firewall by a rule for port {finding.port}",
            "A firewall gives no answer. Paste one of these into PowerShell as administrator:",
            *firewall_rules(finding.port),
            f"In TWS, {_trust(finding)}.",
            MENU,
            *_lasting_trust(finding),
        )
    return (
        f"Check that {finding.host} is TWS's machine and is on, and that its firewall lets port {finding.port} in",
        f"In TWS, {_trust(finding)}.",
        MENU,
    )


def _closed_after_accept(finding: Finding) -> Cure:
    return (
        f"In TWS, {_trust(finding)}",
        f"{MENU} Then restart it.",
        *_lasting_trust(finding),
        "Behind a port proxy or a tunnel it means that TWS itself is not running.",
    )


def _silent(finding: Finding) -> Cure:
    return (
        "Look at TWS's screen for a dialog that asks whether to accept the connection, and say yes",
        f"So that it never asks again, in TWS {_trust(finding)}.",
        MENU,
        "No dialog: finish the login, or restart TWS; it hangs, or is still starting.",
        *_lasting_trust(finding),
    )


def _not_tws(finding: Finding) -> Cure:
    return (
        f"Set IBKR_PORT to TWS's own port: another program has port {finding.port} of {finding.host}",
        "It is the socket port of its API settings (paper: TWS 7497, IB Gateway 4002).",
        MENU,
    )


def _too_old(finding: Finding) -> Cure:
    versions = f"version {finding.server_version} of its API is older than {OLDEST_SERVER_VERSION}"
    return (f"Install a current TWS or IB Gateway: {versions}",)


def _unreachable(finding: Finding) -> Cure:
    return (f"Check the address {finding.host}, and the network (a VPN?): there is no way from here to there",)


def _unresolved(finding: Finding) -> Cure:
    return (f"Set IBKR_HOST_IP to the IPv4 address of TWS's machine, or to auto: nobody knows the name {finding.host}",)


def _not_allowed(finding: Finding) -> Cure:
    reason = "TWS's connection is neither encrypted nor authenticated"
    return (
        f"Set IBKR_HOST_IP to a private address, or to auto: {finding.host} is public, and {reason}",
        f"If it is meant all the same (better: a VPN or an SSH tunnel): IBKR_ALLOWED_HOSTS={finding.host}",
    )


_CURES: Final = {
    Outcome.NOT_LISTENING: _not_listening,
    Outcome.FILTERED: _filtered,
    Outcome.CLOSED_AFTER_ACCEPT: _closed_after_accept,
    Outcome.SILENT: _silent,
    Outcome.NOT_TWS: _not_tws,
    Outcome.TOO_OLD: _too_old,
    Outcome.UNREACHABLE: _unreachable,
    Outcome.UNRESOLVED: _unresolved,
    Outcome.NOT_ALLOWED: _not_allowed,
}
