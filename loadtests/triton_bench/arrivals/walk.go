package arrivals

// Arrivals are a plan's arrivals, one after another. They take the same memory however many there
// are. One goroutine may use them; each needs its own.
type Arrivals struct {
	plan   *Plan
	random gapSource
	number int64 // arrivals given out
	at     position
	piece  int
	lastNS int64
}

// Arrivals begins a walk through the plan. All walks give the same times.
func (p *Plan) Arrivals() *Arrivals {
	a := &Arrivals{plan: p}
	if !p.indexed() {
		a.random = p.gaps.source(p.seed)
	}
	return a
}

// Next is when the next arrival is due. Times ascend; equal ones follow one another where bursts or a
// recording have them. After the last it is not ok. It does not allocate.
func (a *Arrivals) Next() (dueNS int64, ok bool) {
	dueNS, ok = a.due()
	if !ok {
		return 0, false
	}
	a.number++
	// The inverse may err in its last digit, which can turn a gap of nothing around.
	a.lastNS = max(a.lastNS, dueNS)
	return a.lastNS, true
}

// due is when arrival number a.number is due.
func (a *Arrivals) due() (dueNS int64, ok bool) {
	p := a.plan
	switch {
	case p.profile == nil:
		return p.at(a.number)
	case p.gaps.Kind == Constant:
		a.at.whole = a.number
	case a.number == 0:
		a.at = a.at.plus(a.random.first())
	default:
		a.at = a.at.plus(a.random.next())
	}
	dueNS, a.piece = p.profile.dueNS(a.at, a.piece)
	return dueNS, a.piece < len(p.profile)
}
