"""``airflow sms settle``: sends whose outcome nobody knows, what speaks for either, and a person's word."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_sms.cli.pages import note_of
from airflow_provider_sms.cli.reached import store_of
from airflow_provider_sms.cli.speaking import command, say, stop

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator, Sequence

    from airflow_provider_sms.store.attention import LiveBatch, UnknownBatch
    from airflow_provider_sms.store.engine import Store
    from airflow_provider_sms.store.settling import BalanceChange, Evidence


@command
def run(args: Namespace) -> int:
    """Show the evidence, or write a decision down."""
    from airflow_provider_sms.settling import being_submitted, settle_by_evidence
    from airflow_provider_sms.store.attention import live_batches, unknown_batches

    if args.decision:
        _check(args)
    store = store_of(args.store_conn_id)
    for send_key, batch_no in settle_by_evidence(store, args.send_key):
        say(f"batch {batch_no} of send {send_key}: reports prove that it was accepted; it is settled")
    live = [batch for batch in live_batches(store, send_key=args.send_key) if _asked_for(args, batch)]
    unknown = [batch for batch in unknown_batches(store, send_key=args.send_key) if _asked_for(args, batch)]
    if live:
        say(f"{being_submitted(live)}; ask again then")
    # Of all sends, some being submitted is the ordinary thing.
    unfinished = 1 if live and args.send_key else 0
    return _tell(args, store, unknown) or unfinished


def _asked_for(args: Namespace, batch: UnknownBatch | LiveBatch) -> bool:
    return args.batch in {None, batch.batch_no}


def _tell(args: Namespace, store: Store, unknown: Sequence[UnknownBatch]) -> int:
    if not unknown:
        of = f" of send {args.send_key!r}" if args.send_key else ""
        one = (
            f"batch {args.batch}{of} is not unknown" if args.batch is not None else f"no batch{of} is unknown"
        )
        say(f"{one}: there is nothing to decide")
        return 1 if args.decision else 0
    if args.decision:
        return _decide(store, unknown, args.decision, args.reason.strip())
    for batch in unknown:
        _show(store, batch)
    return 1


def _check(args: Namespace) -> None:
    if not args.send_key:
        stop("--as needs a send key: decide about one send at a time")
    if not (args.reason or "").strip():
        stop("--as needs --reason TEXT, for instance what the vendor's support said; it is kept")


def _decide(store: Store, unknown: Sequence[UnknownBatch], decision: str, reason: str) -> int:
    from airflow_provider_sms.records import BatchState
    from airflow_provider_sms.store.settling import decide

    state = BatchState(decision.replace("-", "_"))
    missed = 0
    for batch in unknown:
        written = decide(store, batch.send_key, batch.batch_no, state, note_of(f"called {decision}", reason))
        missed += not written
        told = f"is {decision} now" if written else "was settled by somebody else meanwhile"
        say(f"batch {batch.batch_no} of send {batch.send_key}, {batch.recipients:,} recipients: {told}")
    if state is BatchState.NOT_SENT:
        say("Clear the task: its next run sends these batches, and nothing else, again.")
    else:
        say("Clear the task, or mark it as a success: it does not send these batches again.")
    return 1 if missed else 0


# --- the evidence ----------------------------------------------------------------------------------


def _show(store: Store, batch: UnknownBatch) -> None:
    from airflow_provider_sms.store.settling import evidence_of

    evidence = evidence_of(store, batch.send_key, batch.batch_no)
    if evidence is None:
        return
    say(f"send {evidence.send_key}, batch {evidence.batch_no}")
    for line in _lines(evidence):
        say(f"  {line}")
    say()


def _lines(evidence: Evidence) -> Iterator[str]:
    from airflow_provider_sms.orders import as_typed
    from airflow_provider_sms.redact import mask_numbers

    submitted = evidence.submitted_at.isoformat(timespec="seconds")
    yield f"connection   {evidence.conn_id} ({evidence.vendor})"
    yield f"recipients   {evidence.recipients:,}, charged as {evidence.segments:,} messages"
    yield f"submitted    {submitted}, attempt {evidence.attempts}"
    yield f"unknown by   {mask_numbers(evidence.error) or '-'}"
    yield f"references   {_references(evidence)}"
    yield (
        f"reports      {evidence.reports_by_id} bear its ids; of those on its numbers, "
        f"{evidence.unexplained} belong to no known batch and {evidence.explained} to other batches"
    )
    for mention in evidence.mentions:
        whose = "of another batch" if mention.explained else "of no known batch"
        moment = mention.reported_at.isoformat(timespec="seconds")
        told = f"{mention.mobile} {mention.status} {moment} id {mention.vendor_message_id}"
        yield f"             {told} {whose}"
    for rival in evidence.rivals:
        yield (
            f"also sent    {rival.shared:,} of its numbers by batch {rival.batch_no} of send "
            f"{rival.send_key} ({rival.state})"
        )
    yield f"balance      {_balance(evidence.balance)}"
    yield f"so far       {_verdict(evidence)}"
    command_line = f"airflow sms settle {as_typed(evidence.send_key)} --batch {evidence.batch_no}"
    yield f"decide by    {command_line} --as accepted --reason TEXT    (it is never sent again)"
    yield f"or           {command_line} --as not-sent --reason TEXT    (the next run sends it)"


def _references(evidence: Evidence) -> str:
    from airflow_provider_sms.vendors.registry import vendor_named

    if vendor_named(evidence.vendor).reports_bear_reference:
        return ", ".join(evidence.references)
    # Whoever asked for one would hear that there is none, and take that for "not sent".
    return f"{evidence.vendor} is given none: its support can search by account, time and number"


def _balance(change: BalanceChange | None) -> str:
    from airflow_provider_sms.records import amount

    if change is None:
        return "it was not checked both before and after the submit"
    span = (
        f"{change.before_at.isoformat(timespec='seconds')} to {change.after_at.isoformat(timespec='seconds')}"
    )
    return (
        f"{amount(change.used, change.unit)} less from {span}; batches known as accepted in between are "
        f"charged {change.others:,} messages"
    )


def _verdict(evidence: Evidence) -> str:
    from airflow_provider_sms.settling import gives_reports

    if evidence.unexplained:
        return (
            "reports that no known batch explains speak for accepted; other sends to these numbers, or ones "
            "not made by this package, may have caused them as well"
        )
    if not gives_reports(evidence.vendor):
        return (
            f"nothing speaks for either: {evidence.vendor} gives no reports. The vendor's own records decide"
        )
    if evidence.waiting:
        return (
            "nothing speaks for accepted yet. Its reports may come until "
            f"{evidence.window_end.isoformat(timespec='seconds')}: collect them, and ask again"
        )
    return (
        "no report came in time, which speaks against accepted, provided that the account's reports were "
        "collected all the while. The vendor's own records decide"
    )
