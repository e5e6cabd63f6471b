package arrivals

import (
	"fmt"
	"math"
	"math/rand/v2"

	"windtunnel/triton_bench/spoken"
)

// Kinds of gaps between arrivals.
const (
	Constant = "constant" // all alike
	Poisson  = "poisson"  // exponential: users who do not know of each other
	Gamma    = "gamma"    // as bursty or as even as its shape says
)

// Bounds of a gamma shape: gaps with a coefficient of variation of 32 and of 0.001.
const (
	minShape = 0.001
	maxShape = 1e6
)

// Gaps says how the times between arrivals vary around their mean. Shape is that of gamma, whose
// coefficient of variation is 1/sqrt(Shape): below 1 arrivals come in bursts, 1 is poisson, above 1
// they are more even. The other kinds have no shape.
type Gaps struct {
	Kind  string
	Shape float64
}

func (g Gaps) check() error {
	switch g.Kind {
	case Constant, Poisson:
		return nil
	case Gamma:
		if !(g.Shape >= minShape && g.Shape <= maxShape) {
			return fmt.Errorf("gamma gaps of shape %g; expected %g to %g", g.Shape, minShape, float64(maxShape))
		}
		return nil
	}
	return fmt.Errorf("gaps %q; expected %s, %s or %s", g.Kind, Constant, Poisson, Gamma)
}

// String names the gaps for a person.
func (g Gaps) String() string {
	if g.Kind == Gamma {
		return fmt.Sprintf("gamma of shape %s", spoken.Number(g.Shape))
	}
	return g.Kind
}

// gapStream keeps the gaps apart from whatever else is drawn from the same seed.
const gapStream = 0x6172726976616c73

// A gapSource draws random gaps with a mean of 1. The same seed gives the same gaps.
type gapSource struct {
	random *rand.Rand
	gamma  bool
	shape  float64
	gaps   gammaDraw
}

func (g Gaps) source(seed uint64) gapSource {
	return gapSource{
		random: rand.New(rand.NewPCG(seed, gapStream)),
		gamma:  g.Kind == Gamma, shape: g.Shape, gaps: newGammaDraw(g.Shape),
	}
}

// first is how long the first arrival takes. It is what is left of a gap that began before time 0,
// because a process that renews at time 0 is not yet at its rate: with bursts it would send too many
// at the begin. The gap that covers a given moment has a density in proportion to its length, which
// makes a gamma of one more shape, and the moment is anywhere in it (D. R. Cox, Renewal Theory,
// 1962, chapter 5). For poisson gaps it is a gap like any other.
func (s *gapSource) first() float64 {
	if !s.gamma {
		return s.random.ExpFloat64()
	}
	covering := newGammaDraw(s.shape + 1)
	return s.random.Float64() * covering.draw(s.random) / s.shape
}

func (s *gapSource) next() float64 {
	if !s.gamma {
		return s.random.ExpFloat64()
	}
	return s.gaps.draw(s.random) / s.shape
}

// A gammaDraw draws from a gamma distribution of scale 1 (G. Marsaglia and W. W. Tsang, A simple
// method for generating gamma variables, ACM TOMS 26, 2000, 363-372).
type gammaDraw struct {
	d, c  float64
	below float64 // 1/shape where the shape is below 1, else 0
}

func newGammaDraw(shape float64) gammaDraw {
	var g gammaDraw
	if shape < 1 {
		g.below = 1 / shape
		shape++
	}
	g.d = shape - 1.0/3
	g.c = 1 / math.Sqrt(9*g.d)
	return g
}

func (g *gammaDraw) draw(random *rand.Rand) float64 {
	value := g.d * g.cubed(random)
	if g.below > 0 {
		// Section 6 of the paper: a shape below 1 is one more shape, times U^(1/shape). The logarithm
		// of U is minus an exponential; a result too small for a float64 is a gap of 0, as it should be.
		value *= math.Exp(-random.ExpFloat64() * g.below)
	}
	return value
}

// cubed is the accepted (1+cx)^3 of the paper's rejection.
func (g *gammaDraw) cubed(random *rand.Rand) float64 {
	for {
		x := random.NormFloat64()
		v := 1 + g.c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		u := 1 - random.Float64() // over 0, for the logarithm
		if u < 1-0.0331*(x*x)*(x*x) || math.Log(u) < 0.5*x*x+g.d*(1-v+math.Log(v)) {
			return v
		}
	}
}
