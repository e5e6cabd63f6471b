package sample

import "testing"

func TestEveryRequestHasOneOutcome(t *testing.T) {
	for failure := range FailureCount {
		for _, status := range []int32{0, 100, 199, 200, 204, 299, 300, 404, 500} {
			want := TransportError
			switch {
			case failure == TimeoutFailure:
				want = Timeout
			case failure == CensoredFailure:
				want = Censored
			case failure == NoFailure && status >= 200 && status <= 299:
				want = OK
			case failure == NoFailure:
				want = HTTPError
			}
			row := Row{Failure: failure, Status: status}
			if got := row.Outcome(); got != want {
				t.Errorf("%q with status %d: %s, want %s", failure, status, got, want)
			}
		}
	}
}

func TestEachOutcomeIsCountedOnceAndUnderItsName(t *testing.T) {
	var a Accounting
	for o := range OutcomeCount {
		for range int(o) + 1 {
			a.Add(o)
		}
	}
	want := Accounting{OK: 1, HTTPError: 2, TransportError: 3, Timeout: 4, Censored: 5}
	if a != want || a.Ended() != 15 || a.Of(Timeout) != 4 {
		t.Errorf("%+v", a)
	}
}
