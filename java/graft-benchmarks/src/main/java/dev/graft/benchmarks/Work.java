package dev.graft.benchmarks;

import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;

/**
 * What one call of a benchmark costs at least, beside its time in JMH's results, so that a reader can tell GFLOP/s and GB/s without
 * knowing the shapes. JMH adds these up over its iterations; the value of one is among its percentiles.
 */
@AuxCounters(AuxCounters.Type.EVENTS)
@State(Scope.Thread)
public class Work {
    /** Multiplications and additions of its matrix products. */
    public double flops;

    /** Of its operands, each counted once. */
    public double bytes;
}
