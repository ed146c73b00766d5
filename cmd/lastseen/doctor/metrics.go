package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"lastseen/schema"
)

// metrics are what the service says of itself.
type metrics map[string]*dto.MetricFamily

// value is that of a metric's series with some labels, and whether it is known.
func (m metrics) value(name string, labels map[string]string) (float64, bool) {
	family := m["lastseen_"+name]
	for _, series := range family.GetMetric() {
		if matches(series, labels) {
			value := series.GetGauge().GetValue() + series.GetCounter().GetValue() + series.GetUntyped().GetValue()
			if math.IsNaN(value) { // the service does not know it
				return 0, false
			}
			return value, true
		}
	}
	return 0, false
}

func matches(series *dto.Metric, labels map[string]string) bool {
	found := 0
	for _, label := range series.GetLabel() {
		if wanted, is := labels[label.GetName()]; is && wanted == label.GetValue() {
			found++
		}
	}
	return found == len(labels)
}

// label is that of the only series of a metric.
func (m metrics) label(name, label string) string {
	for _, series := range m["lastseen_"+name].GetMetric() {
		for _, pair := range series.GetLabel() {
			if pair.GetName() == label {
				return pair.GetValue()
			}
		}
	}
	return ""
}

// examineMetrics reads the metrics and judges what only they tell.
func (e *examination) examineMetrics(ctx context.Context) {
	if e.Admin == "" || !e.serves {
		return
	}
	status, body, _, err := e.get(ctx, "http://"+e.Admin+"/metrics", nil)
	if err == nil && status != 200 {
		err = fmt.Errorf("the answer is %d", status)
	}
	if err == nil {
		parser := expfmt.NewTextParser(model.UTF8Validation)
		e.metrics, err = parser.TextToMetricFamilies(bytes.NewReader(body))
	}
	if err != nil {
		e.metrics = nil
		e.add(Warn, "metrics", "Name the service's --admin-addr, or start it with one: without metrics nobody notices what goes wrong.", "there are none at %s: %v", e.Admin, err)
		return
	}
	e.judgeVersion()
	if failures, _ := e.metrics.value("last_seen_checkpoint_saves_total", map[string]string{"result": "failed"}); failures > 0 {
		e.add(Warn, "checkpoint", "Look at the log; the next start replays what the checkpoint lacks.", "%g saves of the checkpoint have failed since the start", failures)
	}
	if failures, _ := e.metrics.value("ingest_insert_failures_total", nil); failures > 0 {
		e.add(Warn, "inserts", "Look at the log for why; clients were told to send again.", "%g inserts of points have failed since the start", failures)
	}
	if ahead, known := e.metrics.value("store_clock_difference_seconds", nil); known {
		e.judgeClock("ClickHouse", "the service's", time.Duration(ahead*float64(time.Second)), 0)
	}
	if serving, several := e.metrics.value("node_serving", nil); several {
		e.judgeNode(serving == 1)
	} else if writes, known := e.metrics.value("writer", nil); known && writes == 0 {
		e.add(Fail, "writer", "Look whether ClickHouse is in reach and whether another lastseen writes.", "the service may not write to the database")
	}
}

// judgeNode judges a node of several, one of which writes.
func (e *examination) judgeNode(serves bool) {
	members, _ := e.metrics.value("node_members", nil)
	role := "a follower"
	if leads, _ := e.metrics.value("node_leading", nil); leads == 1 {
		role = "the leader"
	}
	if !serves {
		e.add(Fail, "nodes", "Ask `lastseen nodes --admin` and look at its log: the network between the nodes, ClickHouse, another issuer.key, another version.",
			"the node is not in touch with the others, and answers 503")
		return
	}
	e.ok("nodes", "the node is %s of %g", role, members)
}

func (e *examination) judgeVersion() {
	running := e.metrics.label("build_info", "version")
	if running != e.Version {
		e.add(Warn, "version", "Restart the service after an upgrade, and use the lastseen of the version that runs.", "the service is %s, and this program %s", running, e.Version)
		return
	}
	e.ok("version", "the service and this program are %s", running)
}

// reported is how the service says that its store is.
func (m metrics) reported() (c schema.Condition, known bool) {
	if m.label("store_info", "version") == "" {
		return c, false
	}
	number := func(name string) float64 {
		value, _ := m.value(name, nil)
		return value
	}
	for _, of := range []struct{ what, label string }{{schema.OfSchema, "schema"}, {schema.OfSettings, "fsync"}} {
		if m.label("store_info", of.label) == "" {
			c.Gaps = append(c.Gaps, schema.Gap{What: of.what, Err: errors.New("the service does not know it; its log says why")})
		}
	}
	c.Version, c.Synced = m.label("store_info", "version"), m.label("store_info", "fsync") == "on"
	migrated, _ := strconv.ParseUint(m.label("store_info", "schema"), 10, 32)
	days, _ := strconv.ParseInt(m.label("store_info", "retention_days"), 10, 64)
	c.Migrated, c.Known, c.Retention = uint32(migrated), uint32(migrated), time.Duration(days)*day
	c.DiskFree, c.DiskSize, c.DiskReserve = uint64(number("store_disk_free_bytes")), uint64(number("store_disk_size_bytes")), uint64(number("store_disk_reserve_bytes"))
	c.Parts, c.PartsLimit = uint64(number("store_parts")), uint64(number("store_parts_limit"))
	return c, true
}
