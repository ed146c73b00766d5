package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// tracingFlags say where traces go. What else OpenTelemetry's own variables say of the exporter and its queue counts as well:
// OTEL_EXPORTER_OTLP_HEADERS, _TIMEOUT, _COMPRESSION and _CERTIFICATE, OTEL_BSP_…, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, and
// OTEL_SDK_DISABLED.
type tracingFlags struct {
	OTLPEndpoint string  `name:"otlp-endpoint" env:"LASTSEEN_OTLP_ENDPOINT,OTEL_EXPORTER_OTLP_TRACES_ENDPOINT,OTEL_EXPORTER_OTLP_ENDPOINT" placeholder:"URL" help:"Where to send traces of requests, those of polls aside: an OpenTelemetry collector's address for OTLP over HTTP, such as http://127.0.0.1:4318; nowhere by default."`
	TraceSample  float64 `default:"0.01" env:"LASTSEEN_TRACE_SAMPLE,OTEL_TRACES_SAMPLER_ARG" placeholder:"SHARE" help:"Which share of the requests is traced, from 0 to 1 (default ${default})."`
}

// Validate refuses an address to which no traces can be sent, and a share that is none.
func (f *tracingFlags) Validate() error {
	if !(f.TraceSample >= 0 && f.TraceSample <= 1) {
		return errors.New("--trace-sample must be from 0 to 1, such as 0.01 for one request in a hundred")
	}
	_, err := tracesAddress(f.OTLPEndpoint)
	return err
}

// tracing makes the configuration of the traces.
func (f *tracingFlags) tracing() tracingConfig {
	if disabled := os.Getenv("OTEL_SDK_DISABLED"); strings.EqualFold(disabled, "true") {
		return tracingConfig{}
	}
	address, _ := tracesAddress(f.OTLPEndpoint) // Validate has looked
	return tracingConfig{endpoint: address, sample: f.TraceSample}
}

// tracesAddress is where a collector takes traces; empty for an empty address.
func tracesAddress(endpoint string) (string, error) {
	if endpoint == "" {
		return "", nil
	}
	address, err := url.Parse(endpoint)
	if err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https" {
		return "", errors.New("--otlp-endpoint must be an address such as http://127.0.0.1:4318")
	}
	if address.User != nil || address.RawQuery != "" {
		return "", errors.New("--otlp-endpoint must have no user, password or parameters; put what the collector asks for into OTEL_EXPORTER_OTLP_HEADERS")
	}
	const traces = "/v1/traces"
	if !strings.HasSuffix(address.Path, traces) {
		address = address.JoinPath(traces)
	}
	return address.String(), nil
}

// tracingConfig says where traces go.
type tracingConfig struct {
	endpoint string        // a URL; empty for nowhere
	sample   float64       // of the requests, from 0 to 1
	patience time.Duration // of a stop for the last traces; 0 for the usual one
}

// lastTraces bounds how long a stop waits until the collector has the last traces.
const lastTraces = 5 * time.Second

// startTracing has the server trace requests, if there is somewhere to send traces to. Spans wait in a queue of fixed length; when it
// is full, because the collector is slow or away, they are dropped.
func startTracing(ctx context.Context, a *App) error {
	config := a.config.tracing
	if config.endpoint == "" {
		return nil
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(config.endpoint))
	if err != nil {
		return fmt.Errorf("send traces to %s: %w", config.endpoint, err)
	}
	// What the environment says of the resource comes last, and counts.
	about, err := resource.New(ctx, resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", "lastseen"), attribute.String("service.version", version())), resource.WithFromEnv())
	if err != nil {
		return errors.Join(fmt.Errorf("read OTEL_RESOURCE_ATTRIBUTES: %w", err), exporter.Shutdown(ctx))
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithResource(about),
		sdktrace.WithBatcher(&tellingExporter{SpanExporter: exporter, log: a.config.log}),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(config.sample))))
	a.config.server.Tracer = provider.Tracer("lastseen/server")
	a.onStop("sending traces", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, cmp.Or(config.patience, lastTraces))
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			a.config.log.Warn("the last traces could not be sent", "error", err)
		}
		return nil
	})
	a.config.log.Info("tracing", "endpoint", config.endpoint, "sample", config.sample)
	return nil
}

// tellingExporter logs that traces cannot be sent, once for each time that this begins, and that they can again.
type tellingExporter struct {
	sdktrace.SpanExporter
	log    *slog.Logger
	failed atomic.Bool
}

// ExportSpans implements sdktrace.SpanExporter. It returns no error: what could not be sent is lost, and the log has said so.
func (e *tellingExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	switch was := e.failed.Swap(err != nil); {
	case err != nil && !was:
		e.log.Warn("traces cannot be sent, and are dropped until they can be; look whether the collector at --otlp-endpoint runs", "error", err)
	case err == nil && was:
		e.log.Info("traces can be sent again")
	}
	return nil
}
