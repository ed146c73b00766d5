// Package bench is the load suite: it measures the service's promises of speed, side by side with
// what else one would use, checks every answer while it measures, and records what it found with
// the machine, the commit and the command.
//
//	loadgen    the load generator
//	dataset    the data, and how they are loaded
//	traffic    what is asked, and how each answer is checked
//	process    programs that are started, and what they use
//	rig        starts lastseen and the baselines, and makes loads against them
//	scenario   what is measured, a type a scenario
//	sizing     measures a deployment that somebody else runs: `lastseen bench run --target`
//	record     what was found, and how it is shown
//	baseline   what the suite and the program of the baselines say to each other
//	baselines  that program, a module of its own: only the comparison needs what it needs
package bench
