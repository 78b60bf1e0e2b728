package dev.graft.benchmarks;

import dev.graft.common.InputException;
import dev.graft.common.RandomFill;
import dev.graft.common.RandomPurpose;
import dev.graft.engine.Engine;
import dev.graft.engine.Engines;
import dev.graft.engine.MemoryKind;
import dev.graft.engine.Precision;
import dev.graft.engine.Workspace;
import dev.graft.engine.profile.EngineProfile;
import dev.graft.tensor.DType;
import dev.graft.tensor.HostFloats;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/** An engine and random operands on it, laid out as a training step lays them out. All numbers are U(-0.05, 0.05). */
final class Operands implements AutoCloseable {
    private static final long SEED = 1;
    private static final float BOUND = 0.05f;
    /** Numbers drawn at most for one tensor; larger ones repeat them. */
    private static final int RANDOM_BLOCK = 1 << 20;

    private final Engine engine;
    private final EngineProfile profile = new EngineProfile();
    private final Engine counted;
    private final Workspace workspace;
    private final Tensor probe;
    private final Arena arena = Arena.ofShared();
    private final List<TensorView> frozen = new ArrayList<>();
    private int stream;

    /** @throws InputException where there is no such engine or it cannot be used here */
    Operands(String engineName) {
        engine = Engines.open(engineName);
        counted = profile.wrap(engine);
        workspace = new Workspace(engine);
        probe = workspace.tensor(MemoryKind.WORKSPACE, "probe", DType.F32, 1, 1);
    }

    /** {@code precision}'s dtype. A result must not pass for another precision's, so there is no falling back here. */
    DType compute(Precision precision) {
        if (!engine.supports(precision)) {
            throw new InputException("engine " + engine.name() + " has no fast " + precision
                    + " on this machine; choose another with -p precision=");
        }
        return precision.compute();
    }

    /** A matrix with rows back to back. */
    Tensor matrix(DType dtype, int rows, int cols) {
        Tensor tensor = zeros(dtype, rows, cols);
        engine.upload(values(Math.toIntExact(tensor.size())), tensor);
        return tensor;
    }

    /** A matrix of zeros. */
    Tensor zeros(DType dtype, int rows, int cols) {
        return workspace.tensor(MemoryKind.WORKSPACE, "matrix", dtype, rows, cols);
    }

    /** A matrix that enters or leaves a linear layer. */
    Tensor activation(DType dtype, int rows, int cols) {
        Tensor tensor = workspace.bordered(MemoryKind.WORKSPACE, "activation", dtype, rows, cols);
        engine.convert(matrix(dtype, rows, cols), tensor);
        return tensor;
    }

    /** I32 [1, n]. */
    Tensor indices(int[] values) {
        Tensor tensor = workspace.tensor(MemoryKind.WORKSPACE, "indices", DType.I32, 1, values.length);
        engine.upload(values, tensor);
        return tensor;
    }

    /** A frozen weight of these numbers. */
    TensorView freeze(float[] values, DType dtype, int rows, int cols) {
        MemorySegment stored = arena.allocate((long) values.length * dtype.byteSize(), 64);
        HostFloats.write(values, stored, dtype, 0);
        TensorView view = engine.freeze(stored, dtype, rows, cols, dtype);
        frozen.add(view);
        return view;
    }

    /** Numbers that no other tensor of this trial has. */
    float[] values(int count) {
        int block = Math.min(count, RANDOM_BLOCK);
        float[] drawn = RandomFill.uniform(SEED, RandomPurpose.INITIALISE_WEIGHTS, stream++, block, BOUND);
        float[] values = new float[count];
        for (int at = 0; at < count; at += block) {
            System.arraycopy(drawn, 0, values, at, Math.min(block, count - at));
        }
        return values;
    }

    /** Runs {@code calls} once, to count what they cost. */
    Operation operation(Consumer<Engine> calls) {
        profile.reset(true);
        calls.accept(counted);
        profile.stop();
        double flops = 0;
        double bytes = 0;
        for (EngineProfile.Row row : profile.rows()) {
            flops += row.flops();
            bytes += row.bytes();
        }
        return new Operation(engine, calls, probe, flops, bytes);
    }

    @Override
    public void close() {
        frozen.forEach(view -> view.memory().close());
        workspace.close();
        counted.close();
        arena.close();
    }
}
