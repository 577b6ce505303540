"""What TWS says with a code, where a scenario does not say it itself."""

from typing import Final

_TEXTS: Final = {
    100: "Max rate of messages per second has been exceeded:max=50 rec=51 (3)",
    103: "Duplicate order id",
    104: "Cannot modify a filled order.",
    105: "Order being modified does not match original order.",
    110: "The price does not conform to the minimum price variation for this contract.",
    135: "Can't find order with id",
    161: "Cancel attempted when order is not in a cancellable state.",
    162: "Historical Market Data Service error message:HMDS query returned no data",
    200: "No security definition has been found for the request",
    201: "Order rejected - reason:",
    202: "Order Canceled - reason:",
    203: "The security is not available or allowed for this account.",
    309: "Max number (3) of market depth requests has been reached",
    317: "Market depth data has been RESET. Please empty deep book contents before applying any new entries.",
    320: "Server error when reading an API client request.",
    321: "Error validating request.-'bA' : cause - The API interface is currently in Read-Only mode.",
    326: "Unable to connect as the client id is already in use. Retry with a unique client id.",
    354: "Requested market data is not subscribed.",
    399: "Order Message:\nWarning: your order will not be placed at the exchange until 09:30:00 US/Eastern",
    404: "Shares for this order are not immediately available for short sale. The order will be held.",
    420: "Invalid Real-time Query:Pacing violation",
    502: "Couldn't connect to TWS.",
    504: "Not connected",
    507: "Bad message length",
    1100: "Connectivity between IB and Trader Workstation has been lost.",
    1101: "Connectivity between IB and Trader Workstation has been restored- data lost.",
    1102: "Connectivity between IB and Trader Workstation has been restored- data maintained.",
    1300: "TWS socket port has been reset and this connection is being dropped.",
    2100: "API client has been unsubscribed from account data.",
    2103: "Market data farm connection is broken:usfarm",
    2104: "Market data farm connection is OK:usfarm",
    2105: "HMDS data farm connection is broken:ushmds",
    2106: "HMDS data farm connection is OK:ushmds",
    2107: "HMDS data farm connection is inactive but should be available upon demand.ushmds",
    2108: "Market data farm connection is inactive but should be available upon demand.usfarm",
    2109: "Order Event Warning: Attribute 'Outside Regular Trading Hours' is ignored based on the order type.",
    2110: "Connectivity between Trader Workstation and server is broken. It will be restored automatically.",
    2119: "Market data farm is connecting:usfarm",
    2157: "Sec-def data farm connection is broken:secdefnj",
    2158: "Sec-def data farm connection is OK:secdefnj",
    10089: "Requested market data requires additional subscription for API.",
    10090: "Part of requested market data is not subscribed.",
    10147: "OrderId that needs to be cancelled is not found.",
    10148: "OrderId that needs to be cancelled can not be cancelled, state: Filled.",
    10167: "Requested market data is not subscribed. Displaying delayed market data.",
    10168: "Requested market data is not subscribed. Delayed market data is not enabled.",
    10197: "No market data during competing live session",
    10349: "Order TIF was set to DAY based on order preset.",
}


def text_of(code: int) -> str:
    """TWS's words for a code, or that a scenario has sent it."""
    return _TEXTS.get(code, f"Message {code} of the paper gateway's scenario")
