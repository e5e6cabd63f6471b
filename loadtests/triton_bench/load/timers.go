package load

import "container/heap"

// timers holds senders that wait for a time, the earliest first.
type timers struct{ waiting waiting }

type timer struct {
	atNS   int64
	sender *sender
}

func (t *timers) add(atNS int64, s *sender) { heap.Push(&t.waiting, timer{atNS, s}) }

// first is the earliest, nil when nobody waits.
func (t *timers) first() (atNS int64, s *sender) {
	if len(t.waiting) == 0 {
		return Forever, nil
	}
	return t.waiting[0].atNS, t.waiting[0].sender
}

func (t *timers) removeFirst() { heap.Pop(&t.waiting) }

type waiting []timer

func (w waiting) Len() int           { return len(w) }
func (w waiting) Less(i, j int) bool { return w[i].atNS < w[j].atNS }
func (w waiting) Swap(i, j int)      { w[i], w[j] = w[j], w[i] }
func (w *waiting) Push(x any)        { *w = append(*w, x.(timer)) }
func (w *waiting) Pop() any {
	last := len(*w) - 1
	x := (*w)[last]
	*w = (*w)[:last]
	return x
}
