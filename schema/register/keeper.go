package register

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

const (
	// keeperSession is how long a Keeper may be silent before the connection is given up and another one made.
	keeperSession = 4 * time.Second
	// keeperRequests bounds the requests that wait for their answers.
	keeperRequests = 16
)

// Keeper is a Register in ZooKeeper or ClickHouse Keeper. It changes and looks by transactions only, which all its servers
// agree upon: what a single server says by itself may be out of date, and a session that the client loses is replaced by
// another one without a word.
type Keeper struct {
	conn    *zk.Conn
	servers string
	id      string
	// The nodes of the Keeper: the view, and two whose versions count beats and looks.
	view, beats, looks string
	flight             chan struct{} // one for each request that waits
	waiting            sync.WaitGroup
}

// OpenKeeper opens the register of a name, which it makes if it is absent. It waits for the Keeper as long as ctx lasts.
func OpenKeeper(ctx context.Context, servers []string, name string, log *slog.Logger) (*Keeper, error) {
	conn, events, err := zk.Connect(servers, keeperSession, zk.WithLogger(keeperLog{log}), zk.WithLogInfo(false), zk.WithMaxBufferSize(2*MaxView))
	if err != nil {
		return nil, fmt.Errorf("look for the Keeper %s (--keeper): %w", strings.Join(servers, ","), err)
	}
	root := "/lastseen/" + name
	k := &Keeper{
		conn: conn, servers: strings.Join(servers, ","), view: root + "/view", beats: root + "/beats", looks: root + "/looks",
		flight: make(chan struct{}, keeperRequests),
	}
	if err := k.prepare(ctx, events, root); err != nil {
		return nil, errors.Join(err, k.Close())
	}
	return k, nil
}

// prepare waits for a session and makes the nodes.
func (k *Keeper) prepare(ctx context.Context, events <-chan zk.Event, root string) error {
	for k.conn.State() != zk.StateHasSession {
		select {
		case <-events:
		case <-ctx.Done():
			return fmt.Errorf("no Keeper answers at %s: start it, or mend --keeper: %w", k.servers, context.Cause(ctx))
		}
	}
	for _, node := range []struct {
		path string
		data []byte
	}{{"/lastseen", nil}, {root, nil}, {k.view, encodeView(0, nil)}, {k.beats, nil}, {k.looks, nil}, {root + "/id", []byte(rand.Text())}} {
		_, err := ask(ctx, k, func() (string, error) { return k.conn.Create(node.path, node.data, 0, zk.WorldACL(zk.PermAll)) })
		if err != nil && !errors.Is(err, zk.ErrNodeExists) {
			return fmt.Errorf("make the register in the Keeper %s: %w", k.servers, err)
		}
	}
	return k.identify(ctx, root+"/id")
}

// identify reads which register this is. A server that is behind does not have what another one has, for a moment.
func (k *Keeper) identify(ctx context.Context, path string) error {
	for {
		id, err := ask(ctx, k, func() ([]byte, error) {
			id, _, err := k.conn.Get(path)
			return id, err
		})
		if err == nil {
			k.id = string(id)
			return nil
		}
		if !errors.Is(err, zk.ErrNoNode) {
			return fmt.Errorf("read which register the Keeper %s has: %w", k.servers, err)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// ID tells the register from every other one, of another name or in another Keeper.
func (k *Keeper) ID() string { return k.id }

// Close ends the connection.
func (k *Keeper) Close() error {
	k.conn.Close()
	k.waiting.Wait()
	return nil
}

// Look implements Register.
func (k *Keeper) Look(ctx context.Context) (State, error) {
	state, _, err := k.look(ctx)
	return state, err
}

// look reads the view and has all servers agree that it is in force; then its version is known too. A server that is behind has
// caught up with that by the time it answers.
func (k *Keeper) look(ctx context.Context) (State, int32, error) {
	for {
		state, version, err := k.read(ctx)
		if err != nil {
			return State{}, 0, err
		}
		err = k.change(ctx, version, k.looks, nil, -1)
		if errors.Is(err, ErrMoved) {
			continue
		}
		if err != nil {
			return State{}, 0, err
		}
		beats, err := ask(ctx, k, func() (*zk.Stat, error) {
			_, stat, err := k.conn.Exists(k.beats)
			return stat, err
		})
		if err != nil {
			return State{}, 0, fmt.Errorf("look at the Keeper's beats: %w", err)
		}
		state.Beat = uint64(uint32(beats.Version))
		return state, version, nil
	}
}

// Swap implements Register.
func (k *Keeper) Swap(ctx context.Context, epoch uint64, view []byte) error {
	if err := Check(view); err != nil {
		return err
	}
	return k.after(ctx, epoch, func(version int32) error {
		return k.change(ctx, version, k.view, encodeView(epoch+1, view), version)
	})
}

// Beat implements Register.
func (k *Keeper) Beat(ctx context.Context, epoch uint64) error {
	return k.after(ctx, epoch, func(version int32) error {
		return k.change(ctx, version, k.beats, nil, -1)
	})
}

// after calls change with the version of the view of an epoch, if that is in force as far as can be read.
func (k *Keeper) after(ctx context.Context, epoch uint64, change func(version int32) error) error {
	state, version, err := k.read(ctx)
	if err == nil && state.Epoch < epoch { // the server is behind
		state, version, err = k.look(ctx)
	}
	if err != nil {
		return err
	}
	if state.Epoch != epoch {
		return ErrMoved
	}
	return change(version)
}

// read asks one server, whose answer may be out of date.
func (k *Keeper) read(ctx context.Context) (State, int32, error) {
	type answer struct {
		data []byte
		stat *zk.Stat
	}
	a, err := ask(ctx, k, func() (answer, error) {
		data, stat, err := k.conn.Get(k.view)
		return answer{data, stat}, err
	})
	if err != nil {
		return State{}, 0, fmt.Errorf("read the view in the Keeper: %w", err)
	}
	state, err := decodeView(a.data)
	return state, a.stat.Version, err
}

// change sets a node in a transaction that fails with ErrMoved where the view's version is another one.
func (k *Keeper) change(ctx context.Context, version int32, path string, data []byte, own int32) error {
	_, err := ask(ctx, k, func() ([]zk.MultiResponse, error) {
		return k.conn.Multi(&zk.CheckVersionRequest{Path: k.view, Version: version}, &zk.SetDataRequest{Path: path, Data: data, Version: own})
	})
	if errors.Is(err, zk.ErrBadVersion) {
		return ErrMoved
	}
	if err != nil {
		return fmt.Errorf("ask the Keeper: %w", err)
	}
	return nil
}

// ask sends a request while there is a session, and waits for its answer as long as ctx lasts. The client answers each request
// when its connection breaks, if not before.
func ask[T any](ctx context.Context, k *Keeper, request func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var none T
	if k.conn.State() != zk.StateHasSession {
		return none, ErrAway
	}
	select {
	case k.flight <- struct{}{}:
	default:
		return none, fmt.Errorf("%w: %d requests wait for their answers", ErrAway, keeperRequests)
	}
	answered := make(chan answer, 1)
	k.waiting.Go(func() {
		value, err := request()
		answered <- answer{value, err}
		<-k.flight
	})
	select {
	case a := <-answered:
		return a.value, a.err
	case <-ctx.Done():
		return none, fmt.Errorf("wait for the Keeper: %w", context.Cause(ctx))
	}
}

// encodeView writes an epoch, the end of the line, and its view.
func encodeView(epoch uint64, view []byte) []byte {
	return append(append(strconv.AppendUint(nil, epoch, 10), '\n'), view...)
}

func decodeView(data []byte) (State, error) {
	number, view, found := bytes.Cut(data, []byte("\n"))
	epoch, err := strconv.ParseUint(string(number), 10, 64)
	if err != nil || !found {
		return State{}, errors.New("the Keeper's view is not one of lastseen's: give this service another --database, or remove the node from the Keeper")
	}
	return State{Epoch: epoch, View: view}, nil
}

// keeperLog is where the client says why connections break, which those who ask are told as well.
type keeperLog struct{ log *slog.Logger }

// Printf implements zk.Logger.
func (l keeperLog) Printf(format string, arguments ...any) {
	l.log.Debug("the Keeper's client", "says", fmt.Sprintf(format, arguments...))
}
