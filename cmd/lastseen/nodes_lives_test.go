package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// lives are the histories of devices and of keys, each used by several clients at a time and by nobody else. Each must be
// linearizable: as if one node had done one thing after the other, some time between question and answer.
type lives struct {
	mu      sync.Mutex
	devices [][]porcupine.Operation
	keys    [][]porcupine.Operation
}

// What is done to a device or a key.
type lifeAct int

const (
	actRegister  lifeAct = iota + 1 // answers the device
	actCreate                       // begins a session: answers it, or that there is one
	actTerminate                    // ends a session: answers that it has, or that it had ended
	actGet                          // answers whether a session has ended
	actRevoke                       // revokes the key
	actUse                          // the key was accepted
)

// lifeInput is an act, and the session it is about.
type lifeInput struct {
	act     lifeAct
	session string
}

// lifeOutput is what was answered. Of what was not, nobody knows whether it was done.
type lifeOutput struct {
	unknown bool
	done    bool // rather than refused
	id      string
}

// deviceState is what a device is: its id, and its active session, "?" where nobody was told which.
type deviceState struct{ device, active string }

// deviceModel is how devices behave. What has no answer was done or was not, so that two states may follow.
func deviceModel() porcupine.Model {
	model := porcupine.NondeterministicModel{
		Init: func() []any { return []any{deviceState{}} },
		Step: func(state, input, output any) []any {
			return stepDevice(state.(deviceState), input.(lifeInput), output.(lifeOutput))
		},
		DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v: %+v", input, output) },
	}
	return model.ToModel()
}

func stepDevice(s deviceState, in lifeInput, out lifeOutput) []any {
	switch {
	case in.act == actRegister && (s.device == "" || s.device == out.id):
		return []any{deviceState{out.id, s.active}}
	case in.act == actCreate && out.unknown && s.active == "":
		return []any{s, deviceState{s.device, "?"}}
	case in.act == actTerminate && out.unknown && s.active == in.session:
		return []any{s, deviceState{s.device, ""}}
	case out.unknown:
		return []any{s}
	case in.act == actCreate && out.done && s.active == "":
		return []any{deviceState{s.device, out.id}}
	case in.act == actCreate && !out.done && s.active != "":
		return []any{s}
	case in.act == actTerminate && out.done && s.active == in.session:
		return []any{deviceState{s.device, ""}}
	case in.act == actTerminate && !out.done && s.active != in.session:
		return []any{s}
	case in.act == actGet && out.done == (s.active != in.session):
		return []any{s}
	}
	return nil
}

// keyModel is how a key behaves: it is good until it is revoked. That it is refused somewhere while it is being revoked is no promise
// of anybody's, and not in the histories.
func keyModel() porcupine.Model {
	model := porcupine.NondeterministicModel{
		Init: func() []any { return []any{false} },
		Step: func(state, input, output any) []any {
			revoked, out := state.(bool), output.(lifeOutput)
			switch {
			case input.(lifeInput).act == actUse && revoked:
				return nil
			case input.(lifeInput).act == actUse:
				return []any{false}
			case out.unknown:
				return []any{revoked, true}
			}
			return []any{true}
		},
	}
	return model.ToModel()
}

// life is one history that is being made.
type life struct {
	trial   *nodesTrial
	began   time.Time
	mu      sync.Mutex
	did     []porcupine.Operation
	session string // that was begun last
	unknown int    // of how many acts nobody knows
}

// ask has a node do something, and remembers it. An answer that nobody expects fails the test.
func (l *life) ask(client int, in lifeInput, method, path string, query url.Values, credential, body string) lifeOutput {
	call := time.Since(l.began).Nanoseconds()
	status, answer := l.trial.ask(l.trial.aNode(), method, path, query, credential, body)
	out := lifeOutput{}
	switch {
	case uncertain(status):
		out.unknown = true
	case status/100 == 2:
		out.done = true
		_ = json.Unmarshal(answer, &out.id) // only ids are text
	case status != http.StatusConflict && (in.act != actUse || status != http.StatusUnauthorized):
		l.trial.t.Errorf("%s %s %v is answered %d %s", method, path, query, status, answer)
	}
	if in.act == actGet && out.done {
		var session struct{ Terminated bool }
		if err := json.Unmarshal(answer, &session); err != nil {
			l.trial.t.Errorf("%v in %s", err, answer)
		}
		out.done = session.Terminated
	}
	l.remember(client, in, out, call)
	return out
}

// remember adds what was done to the history. What only looks is left out where it was not answered, and what nobody knows the end of ends
// never.
func (l *life) remember(client int, in lifeInput, out lifeOutput, call int64) {
	back := time.Since(l.began).Nanoseconds()
	looks := in.act == actGet || in.act == actRegister || in.act == actUse
	if looks && out.unknown || in.act == actUse && !out.done {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if out.unknown {
		l.unknown++
		back = math.MaxInt64
	}
	if in.act == actCreate && out.done {
		l.session = out.id
	}
	l.did = append(l.did, porcupine.Operation{ClientId: client, Input: in, Output: out, Call: call, Return: back})
}

// over says that nothing more can be told apart in this life, and which session was begun last.
func (l *life) over() (over bool, session string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.unknown > 5 || len(l.did) > 60, l.session
}

const lifeClients = 3

// liveDevices lets clients race for devices until ctx ends.
func (k *nodesTrial) liveDevices(ctx context.Context) {
	for i := 0; ctx.Err() == nil; i++ {
		l := &life{trial: k, began: time.Now()}
		register := fmt.Sprintf(`{"device_mac_address":"00:00:00:02:%02x:%02x","schema_version":1}`, i>>8, i&255)
		var racing sync.WaitGroup
		for client := range lifeClients {
			racing.Go(func() {
				for ctx.Err() == nil {
					if over, _ := l.over(); over {
						return
					}
					l.liveDevice(client, register)
				}
			})
		}
		racing.Wait()
		k.lives.mu.Lock()
		k.lives.devices = append(k.lives.devices, l.did)
		k.lives.mu.Unlock()
	}
}

// liveDevice does something with the device.
func (l *life) liveDevice(client int, register string) {
	registered := l.ask(client, lifeInput{act: actRegister}, http.MethodPost, "/tracking/devices/register_to_org/v1", nil, l.trial.token, register)
	_, session := l.over()
	switch act := rand.IntN(4); {
	case registered.unknown:
		time.Sleep(100 * time.Millisecond)
	case act == 0 || session == "":
		l.ask(client, lifeInput{act: actCreate}, http.MethodPost, "/tracking/sessions/create_session/v1", url.Values{"device_id": {registered.id}}, l.trial.token, `{"schema_version":1}`)
	case act == 1:
		l.ask(client, lifeInput{actTerminate, session}, http.MethodPost, "/tracking/sessions/terminate/v1", url.Values{"session_id": {session}}, l.trial.token, "")
	default:
		l.ask(client, lifeInput{actGet, session}, http.MethodGet, "/tracking/sessions/get/v1", url.Values{"session_id": {session}}, l.trial.token, "")
	}
	time.Sleep(time.Duration(rand.IntN(50)) * time.Millisecond)
}

// liveKeys lets clients use keys while others revoke them, until ctx ends.
func (k *nodesTrial) liveKeys(ctx context.Context) {
	query := url.Values{"session_id": {k.tracks[0].session}}
	for ctx.Err() == nil {
		l := &life{trial: k, began: time.Now()}
		key, id := k.newKey()
		if id == "" {
			return // the test has failed
		}
		var racing sync.WaitGroup
		for client := range lifeClients {
			racing.Go(func() {
				for range 12 {
					l.ask(client, lifeInput{act: actUse}, http.MethodGet, lastSeenPath, query, key, "")
					if client == 0 && rand.IntN(6) == 0 {
						l.ask(client, lifeInput{act: actRevoke}, http.MethodPost, "/orgs/api_keys/revoke/v1", url.Values{"api_key_id": {id}}, k.token, "")
					}
					time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
				}
			})
		}
		racing.Wait()
		k.lives.mu.Lock()
		k.lives.keys = append(k.lives.keys, l.did)
		k.lives.mu.Unlock()
	}
}

// check looks whether each history could have been that of one node.
func (l *lives) check(t *testing.T) {
	acts := 0
	for what, histories := range map[string][][]porcupine.Operation{"device": l.devices, "key": l.keys} {
		model := deviceModel()
		if what == "key" {
			model = keyModel()
		}
		for _, history := range histories {
			acts += len(history)
			if result := porcupine.CheckOperationsTimeout(model, history, 20*time.Second); result != porcupine.Ok {
				t.Errorf("the history of a %s is not linearizable (%s):", what, result)
				for _, o := range history {
					t.Logf("  client %d from %d to %d: %+v answered %+v", o.ClientId, o.Call, o.Return, o.Input, o.Output)
				}
			}
		}
	}
	t.Logf("%d acts in the lives of %d devices and %d keys are linearizable", acts, len(l.devices), len(l.keys))
}

func TestTheModelsOfLivesKnowWhatMustNotBe(t *testing.T) {
	t.Parallel()
	do := func(call, back int64, in lifeInput, out lifeOutput) porcupine.Operation {
		return porcupine.Operation{Input: in, Output: out, Call: call, Return: back}
	}
	create, terminate := lifeInput{act: actCreate}, lifeInput{actTerminate, "s"}
	for name, c := range map[string]struct {
		model   porcupine.Model
		history []porcupine.Operation
		good    bool
	}{
		"one session after the other": {deviceModel(), []porcupine.Operation{do(1, 2, create, lifeOutput{done: true, id: "s"}), do(3, 4, terminate, lifeOutput{done: true}), do(5, 6, create, lifeOutput{done: true, id: "u"})}, true},
		"two sessions at once":        {deviceModel(), []porcupine.Operation{do(1, 2, create, lifeOutput{done: true, id: "s"}), do(3, 4, create, lifeOutput{done: true, id: "u"})}, false},
		"a session that nobody knows": {deviceModel(), []porcupine.Operation{do(1, math.MaxInt64, create, lifeOutput{unknown: true}), do(3, 4, create, lifeOutput{})}, true},
		"a refusal without a reason":  {deviceModel(), []porcupine.Operation{do(3, 4, create, lifeOutput{})}, false},
		"an end that is not seen":     {deviceModel(), []porcupine.Operation{do(1, 2, create, lifeOutput{done: true, id: "s"}), do(3, 4, terminate, lifeOutput{done: true}), do(5, 6, lifeInput{actGet, "s"}, lifeOutput{})}, false},
		"two devices of one address":  {deviceModel(), []porcupine.Operation{do(1, 2, lifeInput{act: actRegister}, lifeOutput{done: true, id: "d"}), do(3, 4, lifeInput{act: actRegister}, lifeOutput{done: true, id: "e"})}, false},
		"a key after its revocation":  {keyModel(), []porcupine.Operation{do(1, 2, lifeInput{act: actRevoke}, lifeOutput{done: true}), do(3, 4, lifeInput{act: actUse}, lifeOutput{done: true})}, false},
		"a key meanwhile":             {keyModel(), []porcupine.Operation{do(1, 4, lifeInput{act: actRevoke}, lifeOutput{done: true}), do(2, 3, lifeInput{act: actUse}, lifeOutput{done: true})}, true},
	} {
		if got := porcupine.CheckOperations(c.model, c.history); got != c.good {
			t.Errorf("%s: linearizable is %t", name, got)
		}
	}
}
