package server

import (
	"time"

	"github.com/valyala/fasthttp"

	"lastseen/ingest/decode"
	"lastseen/ingest/registry"
	"lastseen/server/input"
	"lastseen/server/problem"
)

// bodyMemory is what reading a body may take beside its points, in bytes: a body is decoded as it
// arrives.
const bodyMemory = 256 << 10

// ingestPoints takes data points and answers when ClickHouse has them.
func ingestPoints(c *call) error {
	batch, err := readPoints(c)
	if err != nil {
		return err
	}
	c.span.note("decoded")
	c.watchDeparture() // what nobody waits for need not be written, and who sends it again would wait for it
	caller := registry.Caller{OrgID: c.principal.OrgID, DeviceID: c.principal.DeviceID}
	result, err := c.server.services.Writer.Ingest(c.context(), caller, batch)
	if err != nil {
		return err
	}
	c.server.arrivals.note(c.principal, &result, 0, time.Now())
	return c.json(fasthttp.StatusOK, result)
}

// setAside takes the memory for reading a body of points from the caller's share of the budget, which the caller of
// setAside must Release, and bounds the time in which the client may send it.
func setAside(c *call, memory int64) (*decode.Budget, error) {
	budget := c.server.services.Writer.Budget().Of(c.principal.OrgID)
	if !budget.TryAcquire(memory) {
		return nil, problem.Busy
	}
	if err := c.http.SetReadDeadline(time.Now().Add(c.server.config.BodyTimeout)); err != nil {
		budget.Release(memory)
		return nil, problem.FromReading(err)
	}
	return budget, nil
}

// readPoints decodes the body. The memory for it is set aside before the first byte is read, and the
// client has a bounded time to send it.
func readPoints(c *call) (*decode.Batch, error) {
	request := &c.http.Request.Header
	format, _ := pointsFormat(request.ContentType()) // both were checked by checkBodyHeaders
	encoding, _ := pointsEncoding(request)
	memory := int64(bodyMemory)
	if length := int64(request.ContentLength()); length >= 0 {
		memory = min(memory, length)
	}
	budget, err := setAside(c, memory)
	if err != nil {
		return nil, err
	}
	defer budget.Release(memory)
	return decode.Body(c.body(), format, encoding, decode.Limits{Budget: budget, Underway: c.server.services.Writer.Underway()})
}

// markOutliers marks points as outliers, or takes the mark away.
func markOutliers(c *call) error {
	var body struct {
		Outlier *bool    `json:"outlier"`
		IDs     []string `json:"tracking_session_by_device_data_point_ids"`
	}
	if err := c.readJSON(&body); err != nil {
		return err
	}
	switch {
	case body.Outlier == nil:
		return input.MissingField("outlier")
	case body.IDs == nil:
		return input.MissingField("tracking_session_by_device_data_point_ids")
	}
	c.watchDeparture()
	successful, failed, err := c.server.services.Writer.MarkOutliers(c.context(), c.principal.OrgID, body.IDs, *body.Outlier)
	if err != nil {
		return err
	}
	return c.json(fasthttp.StatusOK, struct {
		Successful int `json:"successful_updates"`
		Failed     int `json:"failed_updates"`
	}{successful, failed})
}
