package dev.graft.train;

import dev.graft.common.InputException;
import dev.graft.engine.BufferLayout;
import dev.graft.engine.Engine;
import dev.graft.engine.MemoryKind;
import dev.graft.engine.MemoryPlan;
import dev.graft.engine.PlanningAllocator;
import dev.graft.engine.Precision;
import dev.graft.io.TensorStore;
import dev.graft.lora.LoraAdapter;
import dev.graft.lora.LoraConfig;
import dev.graft.lora.TargetMatcher;
import dev.graft.model.Decoder;
import dev.graft.model.DecoderBuffers;
import dev.graft.model.DecoderConfig;
import dev.graft.model.FrozenWeights;
import java.util.ArrayList;
import java.util.List;

/**
 * The memory of a LoRA run, buffer by buffer, before anything is allocated: the run's own construction code over a
 * {@link PlanningAllocator}.
 *
 * @param frozen the checkpoint's weights
 * @param buffers everything else
 * @param matches the layers that an adapter adapts
 */
public record TrainingPlan(MemoryPlan frozen, MemoryPlan buffers, List<TargetMatcher.Match> matches) {

    /** The plan of training {@code lora} on batches of {@code size}. */
    public static TrainingPlan of(
            Engine engine,
            TensorStore checkpoint,
            DecoderConfig config,
            Precision precision,
            LoraConfig lora,
            TrainingSize size) {
        List<TargetMatcher.Match> matches = TargetMatcher.match(lora, Decoder.linearModules(config));
        return of(
                FrozenWeights.plan(engine, checkpoint, config, precision, lora, matches),
                engine.bufferLayout(),
                config,
                precision,
                lora,
                matches,
                size);
    }

    /** As above, where the frozen weights' memory and the adapted layers are known already. */
    public static TrainingPlan of(
            MemoryPlan frozen,
            BufferLayout layout,
            DecoderConfig config,
            Precision precision,
            LoraConfig lora,
            List<TargetMatcher.Match> matches,
            TrainingSize size) {
        return of(frozen, layout, config, precision, lora, matches, size, 1);
    }

    /** As above, of {@code adapters} alike that are trained at once ({@link JointTrainer}), each on batches of {@code size}. */
    public static TrainingPlan of(
            MemoryPlan frozen,
            BufferLayout layout,
            DecoderConfig config,
            Precision precision,
            LoraConfig lora,
            List<TargetMatcher.Match> matches,
            TrainingSize size,
            int adapters) {
        PlanningAllocator plan = new PlanningAllocator(layout);
        List<LoraAdapter> all = new ArrayList<>();
        for (int i = 0; i < adapters; i++) {
            LoraAdapter adapter = LoraAdapter.create(lora, matches, plan, precision, true);
            new Optimizer(adapter.parameters(), plan);
            all.add(adapter);
        }
        new DecoderBuffers(
                plan,
                config,
                precision,
                all,
                Math.multiplyExact(size.maxRows(), adapters),
                size.maxPositions(),
                DecoderBuffers.Use.TRAINING);
        MemoryPlan own = layout.engineBytes() == 0
                ? new MemoryPlan(List.of())
                : new MemoryPlan.Builder()
                        .add(MemoryKind.WORKSPACE, "engine's own", layout.engineBytes())
                        .build();
        return new TrainingPlan(frozen, plan.plan().plus(own), matches);
    }

    /** All buffers together. */
    public MemoryPlan total() {
        return frozen.plus(buffers);
    }

    /** Σ r (d + k) of an adapter. */
    public long trainableCount() {
        return matches.stream()
                .mapToLong(match -> (long) match.rank()
                        * (match.module().in() + match.module().out()))
                .sum();
    }

    /** Bytes that must be allocated: all but what is used in place from the mapped file. */
    public long allocatedBytes() {
        long mapped = frozen.items().stream()
                .filter(item -> item.name().equals(FrozenWeights.MAPPED))
                .mapToLong(MemoryPlan.Item::bytes)
                .sum();
        return total().totalBytes() - mapped;
    }

    /** Lets the engine take the memory of this plan at once, before the model is loaded. */
    public void reserve(Engine engine) {
        engine.reserve(allocatedBytes() - engine.bufferLayout().engineBytes());
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
