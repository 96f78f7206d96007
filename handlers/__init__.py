"""Service-task handlers of the pre-sales and bidding processes.

Importing the package registers them. A handler is a plain function over a `Job`; `docs/handlers.md` lists them all with the
values they take and give and with the guarantee that each kind of effect has.
"""

from handlers import bid_calendar, bidding, compliance, deviations, documents, notify, qualifications

__all__ = ["bid_calendar", "bidding", "compliance", "deviations", "documents", "notify", "qualifications"]
