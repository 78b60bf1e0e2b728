package dev.graft.train;

import dev.graft.bottleneck.BottleneckAdapter;
import dev.graft.bottleneck.BottleneckConfig;
import dev.graft.common.InputException;
import dev.graft.engine.Allocator;
import dev.graft.engine.BufferLayout;
import dev.graft.engine.Engine;
import dev.graft.engine.MemoryKind;
import dev.graft.engine.MemoryPlan;
import dev.graft.engine.PlanningAllocator;
import dev.graft.engine.Precision;
import dev.graft.io.TensorStore;
import dev.graft.lora.LoraAdapter;
import dev.graft.model.Decoder;
import dev.graft.model.DecoderBuffers;
import dev.graft.model.DecoderConfig;
import dev.graft.model.FrozenWeights;
import dev.graft.model.FullModel;
import dev.graft.nn.FlatParameters;
import java.util.ArrayList;
import java.util.List;

/**
 * The memory of a run, buffer by buffer, before anything is allocated: the run's own construction code over a
 * {@link PlanningAllocator}.
 *
 * @param frozen the checkpoint's weights, where they are not trained themselves
 * @param buffers everything else
 */
public record TrainingPlan(MemoryPlan frozen, MemoryPlan buffers) {

    /** The plan of training by {@code method} on batches of {@code size}. */
    public static TrainingPlan of(
            Engine engine,
            TensorStore checkpoint,
            DecoderConfig config,
            Precision precision,
            Method method,
            TrainingSize size) {
        return of(
                frozen(engine, checkpoint, config, precision, method),
                engine.bufferLayout(),
                config,
                precision,
                method,
                size);
    }

    /** The memory of what {@code method} leaves frozen. */
    public static MemoryPlan frozen(
            Engine engine, TensorStore checkpoint, DecoderConfig config, Precision precision, Method method) {
        return switch (method) {
            case Method.Lora lora ->
                FrozenWeights.plan(engine, checkpoint, config, precision, lora.config(), lora.matches());
            case Method.JointLora joint -> FrozenWeights.plan(engine, checkpoint, config, precision);
            case Method.Adapter modules -> FrozenWeights.plan(engine, checkpoint, config, precision);
            case Method.Full full -> MemoryPlan.NONE;
        };
    }

    /** As above, where the frozen weights' memory is known already. */
    public static TrainingPlan of(
            MemoryPlan frozen,
            BufferLayout layout,
            DecoderConfig config,
            Precision precision,
            Method method,
            TrainingSize size) {
        return new TrainingPlan(frozen, buffers(layout, config, precision, method, size, true));
    }

    /** As {@link #of}, for who only takes losses and gradients and has no {@link Optimizer}. */
    public static TrainingPlan ofGradients(
            Engine engine,
            TensorStore checkpoint,
            DecoderConfig config,
            Precision precision,
            Method method,
            TrainingSize size) {
        return new TrainingPlan(
                frozen(engine, checkpoint, config, precision, method),
                buffers(engine.bufferLayout(), config, precision, method, size, false));
    }

    private static MemoryPlan buffers(
            BufferLayout layout,
            DecoderConfig config,
            Precision precision,
            Method method,
            TrainingSize size,
            boolean optimized) {
        PlanningAllocator plan = new PlanningAllocator(layout);
        List<FlatParameters> trained = new ArrayList<>();
        List<LoraAdapter> adapters = new ArrayList<>();
        BottleneckConfig bottlenecks = null;
        int batches = 1;
        switch (method) {
            case Method.Lora lora -> adapters.add(adapter(lora, config, plan, precision));
            case Method.JointLora joint -> {
                batches = joint.adapters();
                for (int i = 0; i < joint.adapters(); i++) {
                    adapters.add(adapter(joint.each(), config, plan, precision));
                }
            }
            case Method.Adapter modules -> {
                bottlenecks = modules.config();
                trained.add(BottleneckAdapter.create(
                                bottlenecks, config.hiddenSize(), config.layers(), plan, precision, true)
                        .parameters());
            }
            case Method.Full full -> trained.add(FullModel.parameters(config, plan, precision));
        }
        adapters.forEach(adapter -> trained.add(adapter.parameters()));
        if (optimized) {
            trained.forEach(parameters -> new Optimizer(parameters, plan));
        }
        new DecoderBuffers(
                plan,
                config,
                precision,
                adapters,
                bottlenecks,
                Math.multiplyExact(size.maxRows(), batches),
                size.maxPositions(),
                DecoderBuffers.Use.training(size.gradientCheckpointing()));
        MemoryPlan own = layout.engineBytes() == 0
                ? MemoryPlan.NONE
                : new MemoryPlan.Builder()
                        .add(MemoryKind.WORKSPACE, "engine's own", layout.engineBytes())
                        .build();
        return plan.plan().plus(own);
    }

    private static LoraAdapter adapter(Method.Lora lora, DecoderConfig config, Allocator plan, Precision precision) {
        return LoraAdapter.create(lora.config(), lora.matches(), Decoder.savableWeights(config), plan, precision, true);
    }

    /** This plan and other memory beside it. */
    public TrainingPlan plus(MemoryPlan more) {
        return new TrainingPlan(frozen, buffers.plus(more));
    }

    /** All buffers together. */
    public MemoryPlan total() {
        return frozen.plus(buffers);
    }

    /** Bytes that must be allocated: all but what is used in place from the mapped file. */
    public long allocatedBytes() {
        return total().totalBytes() - frozenBytes(FrozenWeights.MAPPED);
    }

    private long frozenBytes(String item) {
        return frozen.items().stream()
                .filter(weights -> weights.name().equals(item))
                .mapToLong(MemoryPlan.Item::bytes)
                .sum();
    }

    /** Lets the engine take the memory of this plan at once, before the model is loaded. */
    public void reserve(Engine engine) {
        long protectedBytes = frozenBytes(FrozenWeights.PROTECTED);
        engine.reserve(allocatedBytes() - engine.bufferLayout().engineBytes() - protectedBytes, protectedBytes);
    }

    /** @throws InputException where the engine has less memory than this plan needs, with flags that would make it fit */
    public void requireFits(Engine engine, String remedy) {
        long available = engine.availableBytes();
        if (allocatedBytes() > available) {
            throw new InputException(String.format(
                    "this run needs %.2f GiB and %.2f GiB are available; %s",
                    allocatedBytes() / 0x1p30, available / 0x1p30, remedy));
        }
    }
}
