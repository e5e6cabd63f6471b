package http1

import (
	"windtunnel/triton_bench/sample"

	"bytes"
	"math"
	"strconv"
)

// ServerTiming reads the durations (milliseconds) of the stages that this lab knows from a
// `Server-Timing` value. Anything else in it is somebody else's and is passed over; a duration that
// is not one leaves the stage unobserved. A stage that is named twice is the sum: it ran twice.
func ServerTiming(value []byte, stagesUS *[sample.StageCount]int32) {
	for len(value) > 0 {
		var entry []byte
		entry, value = cutUnquoted(value, ',')
		name, params := cutUnquoted(entry, ';')
		stage := stageNumber(bytes.TrimSpace(name))
		if stage < 0 {
			continue
		}
		if us, ok := duration(params); ok {
			total := int64(max(stagesUS[stage], 0)) + int64(us)
			stagesUS[stage] = int32(min(total, math.MaxInt32))
		}
	}
}

// cutUnquoted cuts at the first separator outside of a quoted string.
func cutUnquoted(text []byte, separator byte) (before, after []byte) {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '"':
			quoted = !quoted
		case text[i] == '\\' && quoted:
			i++
		case text[i] == separator && !quoted:
			return text[:i], text[i+1:]
		}
	}
	return text, nil
}

func stageNumber(name []byte) int {
	for i, stage := range sample.StageNames {
		if string(name) == stage {
			return i
		}
	}
	return -1
}

// duration finds `dur` among the parameters, in whole microseconds.
func duration(params []byte) (us int32, ok bool) {
	for len(params) > 0 {
		var param []byte
		param, params = cutUnquoted(params, ';')
		name, value, _ := bytes.Cut(param, []byte("="))
		if !bytes.EqualFold(bytes.TrimSpace(name), []byte("dur")) {
			continue
		}
		ms, err := strconv.ParseFloat(string(bytes.Trim(value, " \t\"")), 64)
		if err != nil || math.IsNaN(ms) || ms < 0 {
			return 0, false
		}
		return int32(min(math.Round(ms*1000), math.MaxInt32)), true
	}
	return 0, false
}
