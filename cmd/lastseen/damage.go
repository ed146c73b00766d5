package main

import (
	"context"
	"time"

	"lastseen/keys/apikey"
	"lastseen/keys/people"
	"lastseen/schema"
)

const (
	// damageInterval is the time between two looks for damaged parts.
	damageInterval = 10 * time.Minute
	// damageTimeout bounds one look.
	damageTimeout = time.Minute
)

// damageWatch looks for parts of tables that ClickHouse has set aside as damaged, at the start and now and
// then. Points that are missing are said in the log; where what is missing may have taken a right away, the
// right is denied until an operator has accepted the loss.
type damageWatch struct {
	app           *App
	authenticator *apikey.Authenticator
	keys          *apikey.Service
	signIn        *people.SignIn
	said          map[string]bool // the parts that the log has named
}

// watchDamage looks once, which fails where it cannot be told what is missing, and then now and then.
func (a *App) watchDamage(ctx context.Context, authenticator *apikey.Authenticator, keys *apikey.Service, signIn *people.SignIn) error {
	w := &damageWatch{app: a, authenticator: authenticator, keys: keys, signIn: signIn, said: map[string]bool{}}
	if err := w.look(ctx); err != nil {
		return err
	}
	every(a, damageInterval, "look for damaged parts", w.look)
	return nil
}

func (w *damageWatch) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, damageTimeout)
	defer cancel()
	log := w.app.config.log
	repaired, err := w.repair(ctx)
	if err != nil {
		return err
	}
	if repaired > 0 {
		log.Error("revocations were missing from the stored keys and were written again from the events; look for damage of the disk", "keys", repaired)
	}
	parts, err := w.app.db.DetachedParts(ctx)
	if err != nil {
		return err
	}
	deny, err := w.count(ctx)
	if err != nil {
		return err
	}
	for _, part := range parts {
		deny = deny || part.HeldKeys()
		w.say(part)
	}
	deny = deny && !w.app.config.acceptDamage
	w.authenticator.Deny(deny)
	return nil
}

// repair writes revocations again that are missing: of several nodes the one that writes, or one that is not among the others yet.
func (w *damageWatch) repair(ctx context.Context) (keys int, err error) {
	if nodes := w.app.nodes; nodes != nil && nodes.member.Load() != nil && !nodes.Leads() {
		return 0, nil
	}
	return w.keys.RepairRevocations(ctx)
}

// count looks whether something that was written of keys is gone without a trace, and reports whether the loss is to be
// accepted first.
func (w *damageWatch) count(ctx context.Context) (deny bool, err error) {
	missing, err := w.keys.Missing(ctx)
	if err != nil || len(missing) == 0 {
		return false, err
	}
	log := w.app.config.log
	for _, m := range missing {
		switch what := m.String(); {
		case w.said[what]:
		case w.app.config.acceptDamage:
			log.Warn("stored keys are incomplete; it is accepted that what is missing is lost", "missing", what)
		default:
			log.Error("stored keys are incomplete: all keys are refused until you have revoked anew what may be missing and start once with --accept-damage (docs/operating.md, damage)", "missing", what)
		}
		w.said[m.String()] = true
	}
	if !w.app.config.acceptDamage {
		return true, nil
	}
	return false, w.keys.AcceptMissing(ctx, missing)
}

// say names a part in the log, once.
func (w *damageWatch) say(part schema.DetachedPart) {
	if w.said[part.Name+part.Table] {
		return
	}
	w.said[part.Name+part.Table] = true
	log, accepted := w.app.config.log, w.app.config.acceptDamage
	switch {
	case accepted:
		log.Warn("a damaged part was set aside; it is accepted that its rows are missing", "part", part.String())
	case part.HeldKeys():
		log.Error("a damaged part of the stored keys was set aside: all keys are refused until you have revoked anew what may be missing and start with --accept-damage (docs/operating.md, damage)", "part", part.String())
	case part.HeldSignIn():
		w.signIn.DenyIssuedBefore(time.Now())
		log.Error("a damaged part of what is spent of sign-in was set aside: everybody must sign in again (docs/operating.md, damage)", "part", part.String())
	default:
		log.Error("a damaged part was set aside: its rows are in no answer (docs/operating.md, damage)", "part", part.String())
	}
}
