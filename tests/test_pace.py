from kubechain.conditions import timeouts
from kubechain.conditions.pods import ready
from kubechain.conditions.timeouts import Timeout
from kubechain.observe.history import History
from kubechain.observe.pace import Pace
from kubechain.observe.wait import Waiter
from kubechain.workload.manifests import LINGER_SECONDS
from tests.fakes import FakeClock, pod

LONG = Timeout(60, "a pull")


SHORT = Timeout(5, "nothing to pull")


def paced(*seconds: float, hurries: bool = True, in_vain: bool = True) -> float:
    pace = Pace()
    if in_vain:
        pace.ended_in_vain(SHORT)
    for each in seconds:
        pace.took(LONG, each)
    if hurries:
        pace.hurry()
    return pace.limit(LONG).seconds


def test_timeouts_stay_as_they_are_until_a_claim_fails() -> None:
    assert paced(0.1, hurries=False) == 60


def test_timeouts_stay_as_they_are_until_a_wait_ends_in_vain() -> None:
    assert paced(4.0, 0.1, in_vain=False) == 60


def test_timeouts_of_a_run_that_hurries_follow_its_longest_wait() -> None:
    assert paced(4.0, 0.1) == 20


def test_timeouts_have_a_floor_and_never_grow() -> None:
    assert paced(0.1) == 10
    assert paced(59.0) == 60


def test_timeout_of_what_takes_long_on_a_whole_cluster_is_no_shorter_than_that() -> None:
    pace, ending = Pace(), Timeout(60, "Pods that end", 25)
    pace.took(ending, 0.1)
    pace.ended_in_vain(SHORT)
    pace.hurry()
    assert pace.limit(ending).seconds == 25
    assert pace.limit(ending, patience=2.0).seconds == 50


def test_waits_for_the_end_of_pods_are_as_long_as_pods_that_serve_on_take() -> None:
    ended = (timeouts.PODS_EXACT, timeouts.ENDPOINTS, timeouts.ROLLOUT, timeouts.DELETION)
    assert min(each.least for each in ended) > LINGER_SECONDS
    assert timeouts.DNS.least == timeouts.DNS.seconds
    assert timeouts.renewal(10).least == timeouts.renewal(10).seconds


def test_timeout_that_no_wait_has_had_is_not_shortened() -> None:
    assert paced() == 60


def test_message_says_why_the_timeout_is_short() -> None:
    pace = Pace()
    pace.took(LONG, 3.0)
    pace.ended_in_vain(SHORT)
    pace.hurry()
    assert pace.limit(LONG).reason == "a link is broken, and such waits took up to 3.0 s in this run"


def test_timeout_that_ended_in_vain_is_waited_for_once() -> None:
    pace = Pace()
    pace.ended_in_vain(LONG)
    assert pace.limit(LONG).seconds == 60
    pace.hurry()
    assert pace.limit(LONG) == Timeout(10, "a link is broken, and such a wait ended in vain after 60 s")


def test_wait_that_begins_late_lengthens_no_later_wait() -> None:
    fake = FakeClock()
    start, pace, history = fake.now(), Pace(), History("ns", fake)
    fake.time += 1
    history.record("ADDED", pod())
    fake.time += 100
    Waiter(fake, pace=pace).eventually(history, ready(pod().name), within=LONG, since=start)
    pace.ended_in_vain(SHORT)
    pace.hurry()
    assert pace.limit(LONG).seconds == 10
