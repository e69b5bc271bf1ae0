"""Which queries of a lane are due, overdue or late."""

import math

from exporter.polling.agenda import Agenda, Item
from tests.support.factories import monitored_target
from tests.support.fakes import asked, everywhere


def test_result_expires_at_ten_times_its_lifetime() -> None:
    """However slow the server."""
    agenda = Agenda(monitored_target(), [asked("minutely", interval="1m")])
    item = Item("minutely", None)
    agenda.record_run(item, 100.0)

    assert dict(agenda.overdue(150.0)) == {}
    assert dict(agenda.overdue(200.0)) == {item: 200.0 + 150.0}
    assert dict(agenda.overdue(5000.0)) == {item: 100.0 + 1500.0}


def test_visit_yields_to_queries_that_are_late_elsewhere() -> None:
    """Queries with long intervals become late, too, and then run."""
    agenda = Agenda(
        monitored_target(), [everywhere("minutely", interval="1m"), everywhere("quarterly", interval="15m")]
    )
    agenda.set_databases(("a", "b"), 0.0)
    due, elsewhere = agenda.next_visit(0.0)

    assert [(item.name, item.database) for item in due] == [("minutely", "a"), ("quarterly", "a")]
    assert (agenda.late_at(due[0]), agenda.late_at(due[1]), elsewhere) == (30.0, 450.0, 30.0)
    assert agenda.next_visit(math.inf)[1] == 30.0
