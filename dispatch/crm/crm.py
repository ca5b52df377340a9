"""The face of the CRM: open it, act as somebody, and find each part by its name."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from dispatch.crm import audit, rulebook, schema
from dispatch.crm.audit_log import AuditLog
from dispatch.crm.context import Context
from dispatch.crm.coupling.apply import EventLog
from dispatch.crm.coupling.dispatch_inputs import DispatchInputs
from dispatch.crm.coupling.explain import ExplainedOrder, explain
from dispatch.crm.engagement.campaigns import Campaigns
from dispatch.crm.engagement.care import Care
from dispatch.crm.engagement.segments import Segments
from dispatch.crm.engagement.statistics import Statistics
from dispatch.crm.fleet.blocks import Blocks
from dispatch.crm.fleet.driver_care import DriverCare
from dispatch.crm.fleet.drivers import Drivers
from dispatch.crm.fleet.eligibility import EligibilityCheck
from dispatch.crm.fleet.incentives import Incentives
from dispatch.crm.fleet.qualifications import Qualifications
from dispatch.crm.fleet.rosters import Rosters
from dispatch.crm.fleet.scores import Scores
from dispatch.crm.fleet.vehicles import Vehicles
from dispatch.crm.loyalty import merging as loyalty
from dispatch.crm.loyalty.coupons import Coupons
from dispatch.crm.loyalty.memberships import Memberships
from dispatch.crm.loyalty.passes import Passes
from dispatch.crm.loyalty.points import Points
from dispatch.crm.loyalty.referrals import Referrals
from dispatch.crm.objects import check_place, scope_named
from dispatch.crm.outbox import Outbox
from dispatch.crm.people.consents import Consents
from dispatch.crm.people.contacts import Contacts, MergeHook
from dispatch.crm.people.customer_view import CustomerViews
from dispatch.crm.people.customers import Customers
from dispatch.crm.people.erasing import catch_up
from dispatch.crm.people.interests import Interests, merge_interests_in
from dispatch.crm.people.privacy import Privacy
from dispatch.crm.people.register import begin, register_path
from dispatch.crm.permissions import SYSTEM, Actor
from dispatch.crm.service.appeals import Appeals
from dispatch.crm.service.credit import Credit, merge_credit_in
from dispatch.crm.service.feedback import Feedback
from dispatch.crm.service.incidents import Incidents
from dispatch.crm.service.ratings import Ratings
from dispatch.crm.service.service_desk import ServiceDesk
from dispatch.crm.service.surveys import Surveys
from dispatch.crm.shops.deliveries import Deliveries
from dispatch.crm.shops.merchants import Merchants
from dispatch.crm.shops.stations import Stations
from dispatch.crm.tables.orders import scope
from dispatch.crm.tables.people import installation
from dispatch.crm.vault import Vault
from dispatch.crm.vertical import Vertical, packaged_verticals
from dispatch.engine.explanations import Explanation
from dispatch.errors import AuthError, InputError, StoreError
from dispatch.store.database import Database, as_url
from dispatch.store.sealing import Keyring

MERGE_HOOKS: Final[tuple[MergeHook, ...]] = (loyalty.merge_in, merge_credit_in, merge_interests_in)
"""What parts move when two customers are merged."""
_NAMED: Final = 5
"""Places, in an error."""


class Crm:
    """Customers, drivers, orders, memberships and complaints of a business, in a database.

    Every method takes its instant as ``at_ms``, is checked as a whole, and applied as a whole or not at all.

    Examples
    --------
    See the example of the README, which the tests execute.
    """

    def __init__(self, context: Context, erased_again: int = 0, changed_rules: tuple[str, ...] = ()) -> None:
        self.context = context
        self.erased_again = erased_again
        """persons whom :meth:`open` erased, as they had been before an older state was put back"""
        self.changed_rules = changed_rules
        """parts of the rules that :meth:`open` changed, as it was told"""

    @classmethod
    def create(
        cls,
        where: str | Path,
        vertical: str | Path | Vertical = "ride",
        keys: Path | None = None,
        actor: Actor | None = None,
    ) -> Crm:
        """Make the tables in an empty database, and a keyring where there is none.

        Parameters
        ----------
        where : str or Path
            A file (SQLite) or ``postgresql://…``.
        vertical : str, Path or Vertical
            ``ride``, ``delivery``, ``fuel``, or a file; the database keeps its rules.
        keys : Path, optional
            Of the keyring; by default the database's file with ``.keys`` at its end. Beside it lies the
            register of erasures, with ``.erased`` at its end. Keep copies of both elsewhere: without the one
            nothing personal can be read, without the other an older backup brings back who was erased.
        actor : Actor, optional
            Who acts; by default the program itself, who may do all.

        Raises
        ------
        StoreError
            There are tables already, or the database cannot be reached.
        """
        rules = _loaded(vertical)
        database, path = Database(where), keys_path(where, keys)
        if database.path is not None and not database.path.parent.is_dir():
            raise InputError(f"database is {str(where)!r}: its folder is not there")
        if not path.absolute().parent.is_dir():
            raise InputError(f"keys is {str(path)!r}: its folder is not there")
        with database.new_file(), _closed_if_it_fails(database):
            with database.writing() as connection:
                schema.make(connection, schema.name_of(database))
                audit.begin(connection)
                name, now_ms = secrets.token_hex(16), time.time_ns() // 1_000_000
                connection.execute(sa.insert(installation).values(only=1, name=name))
                rulebook.keep_in(connection, rules, now_ms)
                # On the disk before the database is there; none for a database that was there already.
                _make_keyring(path)
                begin(register_path(path), name, now_ms)
            return cls(_context(database, rules, path, actor))

    @classmethod
    def open(
        cls,
        where: str | Path,
        vertical: str | Path | Vertical | None = None,
        keys: Path | None = None,
        actor: Actor | None = None,
        *,
        changes_rules: bool = False,
    ) -> Crm:
        """Open a database that :meth:`create` made; the arguments are the same.

        Where it is in an older state than the register of erasures beside the keyring, as after an older file
        was put back, who was erased since is erased again: :attr:`erased_again` tells how many, the audit
        whom.

        Parameters
        ----------
        where : str or Path
        vertical : str, Path or Vertical, optional
            What the database is held to be: others than the rules that it keeps are refused. The name of a
            packaged one tells the name alone. By default whatever the database keeps.
        keys : Path, optional
        actor : Actor, optional
        changes_rules : bool
            The rules of `vertical` are kept from now on, which the audit tells, and only who may do all can
            do. They must know all that rows speak of: tiers, problems, products, courses, passes.

        Raises
        ------
        StoreError
            There is none, it is of another version, or the keyring is another one's, or lacks its register.
        InputError
            The database is of another vertical; or it keeps none, as an older one.
        StateError
            The vertical has other rules than the database keeps; or, where they are to be changed, it lacks
            what rows speak of.
        """
        if changes_rules and vertical is None:
            raise InputError("vertical is missing: changes_rules is set, but no rules are told")
        is_name = not isinstance(vertical, Vertical) and str(vertical) in packaged_verticals()
        told = None if vertical is None else _loaded(vertical)
        database = Database(where)
        if database.path is not None and not database.path.exists():
            raise StoreError(f"{database.path}: there is no such file; dispatch crm init makes one")
        with _closed_if_it_fails(database):
            schema.check(database)
            with database.reading() as connection:
                if told is None or not changes_rules:
                    rules = rulebook.kept_in(connection, str(vertical) if is_name else told)
                else:
                    rules = told
                context = _context(database, rules, keys_path(where, keys), actor)
                context.vault.check(connection)
            path = context.vault.path
            erased = (
                0 if path is None else catch_up(database, register_path(path), time.time_ns() // 1_000_000)
            )
            return cls(context, erased, rulebook.change(context) if changes_rules else ())

    def acting_as(self, actor: Actor) -> Crm:
        """Give the same CRM for another actor."""
        return Crm(self.context.of(actor))

    def scope(self, tenant: str, city: str, *, is_known: bool = False) -> int:
        """Give the id of a company and a city of it; who reaches all enters it at its first use.

        Parameters
        ----------
        tenant, city : str
        is_known : bool
            It must be there already: a slip of the pen makes no new place.

        Raises
        ------
        AuthError
            It is not within reach, or not there.
        InputError
            It is not there, and must be.
        """
        check_place(tenant, city)
        with self.context.listing("scope.find", scope.c.scope_id) as (connection, within):
            found = sa.select(scope.c.scope_id).where(scope.c.tenant == tenant, scope.c.city == city, within)
            known = connection.execute(found).scalar_one_or_none()
            if known is not None:
                return int(known)
            if self.context.reaches("scope.enter") != "all":
                actor = self.context.actor
                raise AuthError(f"{actor.role} {actor.name!r} may not scope.find here")
        if is_known:
            raise InputError(f"place is '{tenant}/{city}': there is none such{self._known_places()}")
        with self.context.acting("scope.enter", at_ms=0) as connection:
            return scope_named(connection, tenant, city)

    def places(self) -> list[tuple[int, str, str]]:
        """List the places within reach: the id of each, its company and its city."""
        with self.context.listing("scope.find", scope.c.scope_id) as (connection, within):
            query = sa.select(scope.c.scope_id, scope.c.tenant, scope.c.city).where(within)
            rows = connection.execute(query.order_by(scope.c.scope_id))
            return [(int(row.scope_id), row.tenant, row.city) for row in rows]

    def _known_places(self) -> str:
        """Name some places, for who mistook one."""
        known = [f"{tenant}/{city}" for _, tenant, city in self.places()]
        if not known:
            return ", nor any other"
        more = f" and {len(known) - _NAMED} others" if len(known) > _NAMED else ""
        return f"; known are {', '.join(known[:_NAMED])}{more}"

    @cached_property
    def audit_log(self) -> AuditLog:
        """Who did what, chained and signed."""
        return AuditLog(self.context)

    @cached_property
    def consents(self) -> Consents:
        """What customers agreed to."""
        return Consents(self.context)

    @cached_property
    def contacts(self) -> Contacts:
        """Aliases, addresses and doubles of customers."""
        return Contacts(self.context, MERGE_HOOKS)

    @cached_property
    def privacy(self) -> Privacy:
        """Export, legal hold, erasing, keys."""
        return Privacy(self.context)

    @cached_property
    def customer_views(self) -> CustomerViews:
        """All about a customer on one page."""
        return CustomerViews(self.context)

    @cached_property
    def events(self) -> EventLog:
        """Applying the engine's events."""
        return EventLog(self.context)

    @cached_property
    def dispatch_inputs(self) -> DispatchInputs:
        """What the engine is told of people."""
        return DispatchInputs(self.context)

    def explain(self, explanation: Explanation, *, at_ms: int) -> ExplainedOrder:
        """Put tier, complaints and score beside what :meth:`Dispatcher.explain` says of an order."""
        return explain(self.context, explanation, at_ms)

    @cached_property
    def customers(self) -> Customers:
        """Who they are, sealed."""
        return Customers(self.context)

    @cached_property
    def outbox(self) -> Outbox:
        """Messages to go out."""
        return Outbox(self.context)

    @cached_property
    def segments(self) -> Segments:
        """Segments by rule, and snapshots of them."""
        return Segments(self.context)

    @cached_property
    def statistics(self) -> Statistics:
        """Simple statistics of customers."""
        return Statistics(self.context)

    @cached_property
    def coupons(self) -> Coupons:
        """Coupons, shared or issued, and their redemption."""
        return Coupons(self.context)

    @cached_property
    def memberships(self) -> Memberships:
        """Dated tiers of customers."""
        return Memberships(self.context)

    @cached_property
    def passes(self) -> Passes:
        """Monthly passes and packages of rides."""
        return Passes(self.context)

    @cached_property
    def points(self) -> Points:
        """The points ledger."""
        return Points(self.context)

    @cached_property
    def referrals(self) -> Referrals:
        """Who won whom."""
        return Referrals(self.context)

    @cached_property
    def campaigns(self) -> Campaigns:
        """Campaigns with a holdout."""
        return Campaigns(self.context)

    @cached_property
    def care(self) -> Care:
        """Wishes and reminders."""
        return Care(self.context)

    @cached_property
    def drivers(self) -> Drivers:
        """Drivers: who they are, when they came and left."""
        return Drivers(self.context)

    @cached_property
    def driver_care(self) -> DriverCare:
        """Drivers who work too much, have stayed away, or were complained of."""
        return DriverCare(self.context)

    @cached_property
    def vehicles(self) -> Vehicles:
        """Vehicles of drivers, and their papers."""
        return Vehicles(self.context)

    @cached_property
    def qualifications(self) -> Qualifications:
        """Licences, background checks and training of drivers."""
        return Qualifications(self.context)

    @cached_property
    def eligibility(self) -> EligibilityCheck:
        """Who may get orders, and why not."""
        return EligibilityCheck(self.context)

    @cached_property
    def incentives(self) -> Incentives:
        """Rewards and penalties of drivers."""
        return Incentives(self.context)

    @cached_property
    def rosters(self) -> Rosters:
        """Planned shifts, and who worked them."""
        return Rosters(self.context)

    @cached_property
    def scores(self) -> Scores:
        """Scores and incomes of drivers."""
        return Scores(self.context)

    @cached_property
    def blocks(self) -> Blocks:
        """Cool-downs of drivers."""
        return Blocks(self.context)

    @cached_property
    def credit(self) -> Credit:
        """Standing of customers."""
        return Credit(self.context)

    @cached_property
    def ratings(self) -> Ratings:
        """Stars from customers and drivers."""
        return Ratings(self.context)

    @cached_property
    def incidents(self) -> Incidents:
        """Problems, and how many a hundred customers have."""
        return Incidents(self.context)

    @cached_property
    def service_desk(self) -> ServiceDesk:
        """Complaints, their clocks and verdicts."""
        return ServiceDesk(self.context)

    @cached_property
    def appeals(self) -> Appeals:
        """Appeals against verdicts, cool-downs, ratings and standings."""
        return Appeals(self.context)

    @cached_property
    def feedback(self) -> Feedback:
        """What customers say in any channel, and call-backs."""
        return Feedback(self.context)

    @cached_property
    def surveys(self) -> Surveys:
        """Questions to customers, and their answers."""
        return Surveys(self.context)

    @cached_property
    def merchants(self) -> Merchants:
        """Restaurants and stations, and what they sell."""
        return Merchants(self.context)

    @cached_property
    def deliveries(self) -> Deliveries:
        """Orders that merchants prepare."""
        return Deliveries(self.context)

    @cached_property
    def stations(self) -> Stations:
        """Fuel and charge that was bought."""
        return Stations(self.context)

    @cached_property
    def interests(self) -> Interests:
        """Topics that customers ask to hear of."""
        return Interests(self.context)

    def close(self) -> None:
        """Close the database."""
        self.context.database.close()

    def __enter__(self) -> Crm:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _loaded(vertical: str | Path | Vertical) -> Vertical:
    return vertical if isinstance(vertical, Vertical) else Vertical.load(vertical)


def _make_keyring(path: Path) -> None:
    """Make a keyring unless there is one, which must be a good one: two databases may share it."""
    if path.exists():
        Keyring.load(path)
        return
    try:
        Keyring.new().save(path, replaces=False)
    except FileExistsError:
        Keyring.load(path)  # another one's, made meanwhile


@contextmanager
def _closed_if_it_fails(database: Database) -> Iterator[None]:
    try:
        yield
    except BaseException:
        database.close()
        raise


def keys_path(where: str | Path, keys: Path | None) -> Path:
    """Give where the keyring of a database is; by default beside a file of SQLite."""
    if keys is not None:
        return Path(keys)
    url = as_url(where)
    if url.get_backend_name() != "sqlite":
        raise InputError("keys is missing: a database on a server needs the path of its keyring")
    return Path(f"{url.database}.keys")


def _context(database: Database, vertical: Vertical, keys: Path, actor: Actor | None) -> Context:
    return Context(database, vertical, Vault(Keyring.load(keys), keys), actor or Actor(*SYSTEM))
