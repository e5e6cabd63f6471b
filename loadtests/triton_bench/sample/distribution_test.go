package sample

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/quick"
)

func filled(values []int64) *Distribution {
	d := NewDistribution()
	for _, v := range values {
		d.Add(v, false)
	}
	return d
}

func TestPercentileIsTheObservedValueOfItsRank(t *testing.T) {
	property := func(raw []uint32, percent uint8) bool {
		if len(raw) == 0 {
			return true
		}
		values := make([]int64, len(raw))
		for i, v := range raw {
			values[i] = int64(v)
		}
		p := float64(percent%99+1) / 100
		got, ok := filled(values).Percentile(p)
		slices.Sort(values)
		return ok && got == values[int(math.Ceil(p*float64(len(values))-1e-9))-1]
	}
	if err := quick.Check(property, nil); err != nil {
		t.Error(err)
	}
}

func TestP95OfAHundredIsThe95th(t *testing.T) {
	values := make([]int64, 100)
	for i := range values {
		values[i] = int64(i + 1)
	}
	if got, _ := filled(values).Percentile(0.95); got != 95 { // 0.95*100 is 95.000...01 in floats elsewhere
		t.Errorf("got %d", got)
	}
}

func TestTheEstimateIsObservedAndAtMostATwoThousandthHigh(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	values, estimate := make([]int64, 5000), NewEstimate()
	for i := range values {
		values[i] = int64(math.Exp(random.Float64()*20 + 3))
		estimate.Add(values[i], false)
	}
	d := filled(values)
	for _, p := range []float64{0.01, 0.5, 0.95, 0.99, 1} {
		exact, _ := d.Percentile(p)
		live, _ := d.Live(p)
		if !slices.Contains(values, live) || live < exact || float64(live) > float64(exact)*(1+1./2048) {
			t.Errorf("P%g: %d for %d", 100*p, live, exact)
		}
		if got, ok := estimate.Percentile(p); !ok || got != live {
			t.Errorf("P%g: the estimate alone says %d, not %d", 100*p, got, live)
		}
	}
}

func TestBucketsFollowOneAnotherWithoutAGap(t *testing.T) {
	rank := func(ns int64) int { octave, bucket := bucketOf(ns); return octave<<bucketBits + bucket }
	for ns := int64(0); ns < 1<<15; ns++ {
		if step := rank(ns+1) - rank(ns); step != 0 && step != 1 {
			t.Fatalf("from %d to %d the bucket goes from %d to %d", ns, ns+1, rank(ns), rank(ns+1))
		}
	}
	for bits := 12; bits < 63; bits++ {
		below, at := int64(1)<<bits-1, int64(1)<<bits
		if rank(at) != rank(below)+1 || rank(at+at>>bucketBits) != rank(at)+1 {
			t.Errorf("the octaves at 2^%d do not meet, or its buckets are not 1/2048 wide", bits)
		}
	}
	if octave, bucket := bucketOf(math.MaxInt64); octave != 63-bucketBits || bucket != 1<<bucketBits-1 {
		t.Errorf("the longest time is in bucket %d of octave %d", bucket, octave)
	}
}

func TestValuesThatNoLongerFitAreStillObserved(t *testing.T) {
	d := NewDistribution()
	for i := range int64(ExactLimit + 1000) {
		d.Add(1000+i, false)
	}
	if d.exact != nil || !d.full {
		t.Fatal("kept everything")
	}
	got, ok := d.Percentile(0.5)
	want := 1000 + int64(ExactLimit+1000)/2
	if !ok || math.Abs(float64(got-want)) > float64(want)/2048 {
		t.Errorf("P50 %d, want about %d", got, want)
	}
}

func TestAPercentileMayBeAskedForMeanwhile(t *testing.T) {
	d := NewDistribution()
	for i := range int64(3*exactBlock + 7) {
		d.Add(i, false)
		if i%5000 == 0 {
			if got, ok := d.Percentile(1); !ok || got != i {
				t.Fatalf("the largest of 0 to %d is %d", i, got)
			}
		}
	}
	if got, _ := d.Percentile(0.5); got != (3*exactBlock+7)/2 {
		t.Errorf("P50 %d", got)
	}
}

func TestRequestsGivenUpRankAboveAllAnswers(t *testing.T) {
	d := NewDistribution()
	for i := range int64(90) {
		d.Add(i+1, false)
	}
	for range 10 {
		d.Add(50, true) // given up after 50: at least that, not 50
	}
	if got, ok := d.Percentile(0.90); !ok || got != 90 {
		t.Errorf("P90 %d %v, want 90", got, ok)
	}
	if got, ok := d.Percentile(0.95); ok {
		t.Errorf("P95 is %d, want unknown", got)
	}
	if d.Total() != 100 || d.AtLeast() != 10 || d.MaxNS() != 90 || d.SumNS() != 90*91/2+500 {
		t.Errorf("%d requests, %d given up, at most %d, together %g", d.Total(), d.AtLeast(), d.MaxNS(), d.SumNS())
	}
}

func TestCountsUpToABoundNeverFallAndMissAtMostTheBoundsBucket(t *testing.T) {
	bounds := []int64{0, 1000, 2047, 2048, 5000, 1e6, 1e9}
	random := rand.New(rand.NewPCG(3, 4))
	d, values, before := NewEstimate(), []int64{}, make([]uint64, len(bounds))
	for range 2000 {
		ns := int64(math.Exp(random.Float64() * 21))
		d.Add(ns, false)
		values = append(values, ns)
		counts := make([]uint64, len(bounds))
		d.CountUpTo(bounds, counts)
		for i, bound := range bounds {
			var least, most uint64
			for _, v := range values {
				if v <= bound {
					most++
				}
				if float64(v) <= float64(bound)*(1-1./2048)-1 {
					least++
				}
			}
			if counts[i] < before[i] || counts[i] < least || counts[i] > most {
				t.Fatalf("up to %d: %d after %d, want %d to %d", bound, counts[i], before[i], least, most)
			}
		}
		before = counts
	}
}
