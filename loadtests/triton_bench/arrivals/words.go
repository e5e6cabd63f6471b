package arrivals

import (
	"fmt"
	"strings"
	"time"

	"windtunnel/triton_bench/spoken"
)

// mostParts is how many parts of a profile are told one by one.
const mostParts = 6

// String tells the plan in a few words, as in "40 requests a second, poisson".
func (p *Plan) String() string {
	if p.profile == nil {
		return p.replayWords()
	}
	segments := p.merged()
	if len(segments) == 1 && segments[0].flat() {
		return fmt.Sprintf("%s, %s", spoken.PerSecond(segments[0].To), p.gaps)
	}
	words, unit := make([]string, 0, mostParts+1), false // the unit is told once
	for i, s := range segments {
		if i == mostParts {
			words = append(words, fmt.Sprintf("%d more parts", len(segments)-i))
			break
		}
		words = append(words, s.words(!unit))
		unit = unit || s.To > 0 || s.From > 0
	}
	return fmt.Sprintf("%s, %s", strings.Join(words, ", then "), p.gaps)
}

// merged is the profile with neighbours of one constant rate put together.
func (p *Plan) merged() (segments []Segment) {
	for _, s := range p.profile {
		length := time.Duration(s.endNS - s.startNS)
		next := Segment{length, s.from, s.to}
		if last := len(segments) - 1; last >= 0 && next.flat() && segments[last].flat() && segments[last].To == next.From {
			segments[last].Duration += length
			continue
		}
		segments = append(segments, next)
	}
	return segments
}

func (s Segment) flat() bool { return s.From == s.To }

func (s Segment) words(withUnit bool) string {
	rate := spoken.Number(s.To)
	if withUnit {
		rate = spoken.PerSecond(s.To)
	}
	switch {
	case s.flat() && s.To == 0:
		return fmt.Sprintf("nothing for %s", s.Duration)
	case !s.flat():
		return fmt.Sprintf("%s to %s over %s", spoken.Number(s.From), rate, s.Duration)
	}
	return fmt.Sprintf("%s for %s", rate, s.Duration)
}

func (p *Plan) replayWords() string {
	words := "arrivals as recorded"
	if p.speed != 1 {
		words += fmt.Sprintf(", at %s times their speed", spoken.Number(p.speed))
	}
	return words
}
