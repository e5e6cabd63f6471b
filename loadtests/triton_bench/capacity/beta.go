package capacity

import "math"

// mostTerms ends a fraction that does not converge; it needs about the square root of the larger
// parameter, so this is far out of reach of any number of requests.
const mostTerms = 1_000_000

// incompleteBeta is the regularised incomplete beta function I_x(a, b), with y = 1-x given apart
// because a small one has lost its digits in x. Binomial tails are values of it (NIST Handbook of
// Mathematical Functions, 8.17.5), which sums of terms as far apart as 1e-300 and 1 are not.
func incompleteBeta(a, b, x, y float64) float64 {
	// The fraction converges fast below the mean; beyond it, by 8.17.4, the other tail does.
	if x > (a+1)/(a+b+2) {
		return 1 - betaFraction(b, a, y, x)
	}
	return betaFraction(a, b, x, y)
}

// betaFraction is the continued fraction 8.17.22, from front to back (W. J. Lentz 1976, with
// Thompson and Barnett's guard against zeros, J. Comp. Phys. 64, 1986).
func betaFraction(a, b, x, y float64) float64 {
	const tiny, precise = 1e-300, 1e-15
	away := func(v float64) float64 {
		if math.Abs(v) < tiny {
			return tiny
		}
		return v
	}
	c, d, value := 1.0, 1/away(1-(a+b)*x/(a+1)), 0.0
	value = d
	for m := 1.0; m <= mostTerms; m++ {
		even := m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m))
		d, c = 1/away(1+even*d), away(1+even/c)
		value *= d * c
		odd := -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))
		d, c = 1/away(1+odd*d), away(1+odd/c)
		value *= d * c
		if math.Abs(d*c-1) < precise {
			break
		}
	}
	return math.Exp(a*math.Log(x)+b*math.Log(y)-logBeta(a, b)) * value / a
}

func logBeta(a, b float64) float64 {
	of := func(v float64) float64 {
		value, _ := math.Lgamma(v)
		return value
	}
	return of(a) + of(b) - of(a+b)
}
