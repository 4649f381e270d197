// Reads a history as e2e/harness/history.ts writes it (JSON lines on stdin), gives each path to Porcupine, and prints one
// JSON line: {"checked": paths, "wrong": [paths], "unknown": [paths whose check took too long]}.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"time"

	"github.com/anishathalye/porcupine"
)

type line struct {
	Event    string `json:"event"`
	ID       int    `json:"id"`
	Client   int    `json:"client"`
	Model    string `json:"model"`
	Kind     string `json:"kind"`
	Path     string `json:"path"`
	Value    string `json:"value"`
	Expected string `json:"expected"`
	Slots    int    `json:"slots"`
	Outcome  string `json:"outcome"`
}

type object struct {
	model  string
	events []porcupine.Event
	// Calls that nobody answered, or whose answer says that nothing is known: they return at the end of time.
	open []int
}

const (
	lineBytesMax = 16 << 20
	// One path; beyond, its verdict is "unknown".
	checkTimeMax = 60 * time.Second
)

func main() {
	lines, err := read()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	wrong, late := []string{}, []string{}
	objects := objectsOf(lines)
	for path, object := range objects {
		switch porcupine.CheckEventsTimeout(modelOf(object.model), object.events, checkTimeMax) {
		case porcupine.Illegal:
			wrong = append(wrong, path)
		case porcupine.Unknown:
			late = append(late, path)
		}
	}
	sort.Strings(wrong)
	sort.Strings(late)
	_ = json.NewEncoder(os.Stdout).Encode(map[string]any{"checked": len(objects), "wrong": wrong, "unknown": late})
}

func read() ([]line, error) {
	scanner := bufio.NewScanner(os.Stdin)
	scanner.Buffer(nil, lineBytesMax)
	lines := []line{}
	for scanner.Scan() {
		if len(scanner.Bytes()) == 0 {
			continue
		}
		one := line{Model: "register", Slots: 1}
		if err := json.Unmarshal(scanner.Bytes(), &one); err != nil {
			return nil, fmt.Errorf("line %d: %w", len(lines)+1, err)
		}
		lines = append(lines, one)
	}
	return lines, scanner.Err()
}

func objectsOf(lines []line) map[string]*object {
	ends := map[int]line{}
	for _, one := range lines {
		if one.Event == "complete" {
			ends[one.ID] = one
		}
	}
	objects, began := map[string]*object{}, map[int]*object{}
	for _, one := range lines {
		end, ended := ends[one.ID]
		known := ended && end.Outcome != "unknown"
		switch one.Event {
		case "invoke":
			if known && end.Outcome == "none" || one.Kind == "read" && end.Outcome != "ok" {
				continue
			}
			at := objects[one.Path]
			if at == nil {
				at = &object{model: one.Model}
				objects[one.Path] = at
			}
			in := call{Kind: one.Kind, Value: one.Value, Expected: one.Expected, Slots: one.Slots}
			at.events = append(at.events, porcupine.Event{ClientId: one.Client, Kind: porcupine.CallEvent, Value: in, Id: one.ID})
			if known {
				began[one.ID] = at
			} else {
				at.open = append(at.open, one.ID)
			}
		case "complete":
			if at := began[one.ID]; at != nil {
				out := answer{Outcome: one.Outcome, Value: one.Value}
				at.events = append(at.events, porcupine.Event{Kind: porcupine.ReturnEvent, Value: out, Id: one.ID})
			}
		}
	}
	for _, at := range objects {
		for _, id := range at.open {
			at.events = append(at.events, porcupine.Event{Kind: porcupine.ReturnEvent, Value: answer{Outcome: "unknown"}, Id: id})
		}
	}
	return objects
}
