// Package witness notices that ClickHouse was set back to an earlier state while lastseen runs: restored from an older backup, or a table
// emptied or made anew. What is in memory is then out of step with what is stored for good, and a revocation may be gone.
//
// A Watch keeps a few rows that ClickHouse must have (schema.Witness): what this process was told is stored, newest first, and what it has seen
// there before. It looks for them now and then, and at once when ClickHouse is back after it was out of reach or had lost a table: one small
// statement whatever there is. Whatever happens to the store happens between two looks, and the witnesses of the look before are older than it,
// so that a backup which is older than these lacks them, however much is written afterwards.
//
// Only an answer of ClickHouse counts in which a row is absent, again and again for a while. An error, a timeout, a row that retention may have
// taken, and a part that ClickHouse has set aside as damaged, which others look after, say nothing.
package witness
