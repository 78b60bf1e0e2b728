package dev.graft.benchmarks;

import dev.graft.common.RandomFill;
import dev.graft.common.RandomPurpose;
import dev.graft.engine.Engine;
import dev.graft.engine.Engines;
import dev.graft.engine.LoraTerm;
import dev.graft.engine.MemoryKind;
import dev.graft.engine.Precision;
import dev.graft.engine.Projection;
import dev.graft.engine.Workspace;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * A LoRA linear layer against the frozen layer alone, which is its floor: {@code rank} 0 is the frozen layer (and what a merged
 * adapter costs). The layer is SmolLM2-135M's gate projection, W0 [1536, 576].
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 5, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(
        value = 1,
        jvmArgs = {"--add-modules=jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"})
public class LoraLinearBenchmark {
    private static final int IN = 576;
    private static final int OUT = 1536;

    @Param({"1", "128", "1024"})
    public int rows;

    @Param({"0", "4", "16", "64"})
    public int rank;

    @Param({"F32", "BF16"})
    public Precision precision;

    private @Nullable Engine engine;
    private @Nullable Workspace workspace;
    private @Nullable Tensor x;
    private @Nullable Tensor dx;
    private List<Projection> forward = List.of();
    private List<Projection> backward = List.of();

    @Setup(Level.Trial)
    public void setUp() {
        Engine opened = Engines.open("cpu");
        engine = opened;
        workspace = new Workspace(opened);
        DType compute = precision.compute();
        Tensor weight = random("W0", compute, OUT, IN, 1);
        x = random("x", compute, rows, IN, 2);
        dx = random("dx", compute, rows, IN, 3);
        Tensor y = random("y", compute, rows, OUT, 4);
        Tensor dy = random("dy", compute, rows, OUT, 5);
        List<LoraTerm> lora = rank == 0 ? List.of() : List.of(term(compute));
        forward = List.of(new Projection(weight.asReadOnly(), null, lora, y, null, null, null));
        backward = List.of(new Projection(weight.asReadOnly(), null, lora, dy, null, null, null));
    }

    private LoraTerm term(DType compute) {
        return new LoraTerm(
                0,
                rows,
                random("A", compute, rank, IN, 6),
                random("B", compute, OUT, rank, 7),
                2,
                random("h", compute, rows, rank, 8),
                null,
                null,
                new LoraTerm.Gradients(
                        random("dA", DType.F32, rank, IN, 9),
                        random("dB", DType.F32, OUT, rank, 10),
                        random("u", compute, rows, rank, 11)));
    }

    private Tensor random(String name, DType dtype, int rowCount, int cols, int stream) {
        Tensor tensor = workspace.tensor(MemoryKind.WORKSPACE, name, dtype, rowCount, cols);
        engine.upload(RandomFill.uniform(1, RandomPurpose.INITIALISE_WEIGHTS, stream, rowCount * cols, 0.05f), tensor);
        return tensor;
    }

    /** {@code y = x W0ᵀ + s (x Aᵀ) Bᵀ}. */
    @Benchmark
    public void forward() {
        engine.linearForward(x, forward);
    }

    /** dx, dA and dB. */
    @Benchmark
    public void backward() {
        engine.linearBackward(x, backward, dx);
    }

    @TearDown(Level.Trial)
    public void tearDown() {
        workspace.close();
        engine.close();
    }
}
