// Package spoken says numbers as people read them.
package spoken

import (
	"math"
	"strconv"
)

// Number has as many digits as are worth reading: four, but all that stand before the point, and never
// an exponent.
func Number(x float64) string {
	if math.Abs(x) >= 1000 {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	short, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 4, 64), 64)
	if err != nil {
		short = x
	}
	return strconv.FormatFloat(short, 'f', -1, 64)
}

// PerSecond is a rate of requests.
func PerSecond(rate float64) string {
	if rate := Number(rate); rate != "1" {
		return rate + " requests a second"
	}
	return "1 request a second"
}
