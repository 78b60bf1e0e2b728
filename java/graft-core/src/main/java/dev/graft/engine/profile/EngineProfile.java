package dev.graft.engine.profile;

import dev.graft.engine.Engine;
import dev.graft.engine.Projection;
import dev.graft.tensor.DType;
import dev.graft.tensor.Memory;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Times every call of an engine. The engine is waited for after each call, so that an engine that computes ahead is charged where
 * the work is; a run under a profile is therefore slower than one without.
 */
public final class EngineProfile {
    /**
     * One kind of call.
     *
     * @param name the operation, and for linear layers its shape
     * @param flops counted of its matrix products, all calls together
     * @param bytes counted of its operands, all calls together
     */
    public record Row(String name, long calls, double seconds, double flops, double bytes) {
        private Row plus(Row other) {
            return new Row(
                    name, calls + other.calls, seconds + other.seconds, flops + other.flops, bytes + other.bytes);
        }
    }

    private final Map<String, Row> rows = new LinkedHashMap<>();
    private boolean counting = true;

    /** Forgets what was counted, and counts from now on or not. */
    public void reset(boolean count) {
        rows.clear();
        counting = count;
    }

    /** Keeps what was counted and counts no more. */
    public void stop() {
        counting = false;
    }

    /** What was counted, what took longest first. */
    public List<Row> rows() {
        List<Row> sorted = new ArrayList<>(rows.values());
        sorted.sort(Comparator.comparingDouble(Row::seconds).reversed());
        return sorted;
    }

    /** {@code engine}, timed. Closing it closes {@code engine}. */
    public Engine wrap(Engine engine) {
        Memory word = engine.allocate(Float.BYTES);
        TensorView probe = Tensor.of(word, 0, DType.F32, 1, 1);
        return EngineCalls.through((method, arguments, call) -> time(engine, probe, method, arguments, call), engine);
    }

    private @Nullable Object time(
            Engine engine, TensorView probe, Method method, Object @Nullable [] arguments, EngineCalls.Call call)
            throws Throwable {
        if (arguments == null || !counting) {
            if (method.getName().equals("close")) {
                probe.memory().close();
            }
            return call.make();
        }
        long start = System.nanoTime();
        Object result = call.make();
        engine.download(probe); // waits for all work
        double seconds = (System.nanoTime() - start) / 1e9;
        OpCost cost = OpCost.of(method.getName(), arguments);
        Row row = new Row(name(method.getName(), arguments), 1, seconds, cost.flops(), cost.bytes());
        rows.merge(row.name(), row, Row::plus);
        return result;
    }

    /** Such as {@code linearForward 576 -> 576+192+192}. */
    private static String name(String operation, Object[] arguments) {
        if (!operation.startsWith("linear")) {
            return operation;
        }
        TensorView x = (TensorView) arguments[0];
        String outputs = ((List<?>) arguments[1])
                .stream()
                        .map(p -> Integer.toString(((Projection) p).weight().rows()))
                        .collect(Collectors.joining("+"));
        return operation + " " + x.cols() + " -> " + outputs;
    }
}
