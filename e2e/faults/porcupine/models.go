package main

import (
	"sort"
	"strconv"
	"strings"

	"github.com/anishathalye/porcupine"
)

// call is what was asked; what came of it is only known at its completion.
type call struct {
	Kind     string
	Value    string
	Expected string
	Slots    int
}

type answer struct {
	Outcome string // ok | failed | unknown
	Value   string // of a read
}

// The states are strings that begin as "". These are the models of e2e/harness/models.ts, written again.
var steps = map[string]func(state string, in call, out answer) (bool, string){
	"register":  register,
	"list":      list,
	"counter":   counter,
	"semaphore": semaphore,
}

func modelOf(name string) porcupine.Model {
	step := steps[name]
	return porcupine.Model{
		Init: func() interface{} { return "" },
		Step: func(state, in, out interface{}) (bool, interface{}) {
			ok, next := step(state.(string), in.(call), out.(answer))
			return ok, next
		},
	}
}

func register(state string, in call, out answer) (bool, string) {
	holds, after := true, in.Value
	switch in.Kind {
	case "read":
		return out.Value == state, state
	case "create":
		holds = state == ""
	case "cas":
		holds = state == in.Expected
	case "delete":
		holds, after = state != "", ""
	}
	switch {
	case out.Outcome == "unknown" && holds, out.Outcome == "ok" && holds:
		return true, after
	case out.Outcome == "unknown", out.Outcome == "failed" && !holds:
		return true, state
	}
	return false, state
}

// change is for calls that are refused without any effect, and whose fate may be unknown.
func change(state string, out answer, possible bool, after string) (bool, string) {
	switch {
	case out.Outcome == "failed", out.Outcome == "unknown" && !possible:
		return true, state
	case possible:
		return true, after
	}
	return false, state
}

func list(state string, in call, out answer) (bool, string) {
	if in.Kind == "read" {
		return out.Value == state, state
	}
	if state == "" {
		return change(state, out, true, in.Value)
	}
	return change(state, out, true, state+","+in.Value)
}

func counter(state string, in call, out answer) (bool, string) {
	if in.Kind == "read" {
		return out.Value == state, state
	}
	before, _ := strconv.Atoi(state)
	wanted, _ := strconv.Atoi(in.Value)
	return change(state, out, before == wanted-1, in.Value)
}

func semaphore(state string, in call, out answer) (bool, string) {
	holders := []string{}
	for _, id := range strings.Split(state, ",") {
		if id != "" && (in.Kind == "acquire" || id != in.Value) {
			holders = append(holders, id)
		}
	}
	if in.Kind != "acquire" {
		return change(state, out, true, strings.Join(holders, ","))
	}
	room := len(holders) < in.Slots
	holders = append(holders, in.Value)
	sort.Strings(holders)
	return change(state, out, room, strings.Join(holders, ","))
}
