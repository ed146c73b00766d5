// package decode turns bodies into points: JSON and NDJSON, as they are or compressed. A bad point gets a
// sentence of its own beside the good ones. Its memory is bounded, and taken from a budget.
package decode
