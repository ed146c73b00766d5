// Package judge tells positions that cannot be true from those that can, by what is known of a session before them.
// It knows neither HTTP nor ClickHouse, keeps some 500 bytes of a session and only where something is in doubt, and
// asks no clock: the same positions in the same order are judged alike. docs/outliers.md has the rule, its sources and
// what it finds in real data.
//
// A Track judges positions in the order of their time, which is how they mostly come. Review judges late ones together
// with their neighbours.
package judge
