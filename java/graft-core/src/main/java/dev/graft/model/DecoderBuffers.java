package dev.graft.model;

import dev.graft.bottleneck.BottleneckConfig;
import dev.graft.engine.Allocator;
import dev.graft.engine.MemoryKind;
import dev.graft.engine.Precision;
import dev.graft.lora.LoraAdapter;
import dev.graft.lora.LoraBuffers;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Every buffer of a pass over a decoder, for batches of up to {@code maxRows} tokens. Made once, over an {@link Allocator}: the
 * memory plan and the memory come from the same lines.
 */
public final class DecoderBuffers {
    /** What a pass is for. */
    public enum Use {
        /** Forward and backward; every layer keeps its activations. */
        TRAINING,
        /**
         * Forward and backward with gradient checkpointing (Chen et al., 2016): every layer keeps its input alone and backward
         * computes the rest again, in one set of activations. The same results, to the bit, for one more forward.
         */
        CHECKPOINTED_TRAINING,
        /** Forward and loss; layers share one set of activations. */
        EVALUATION,
        /** Forward with keys and values in a {@link KeyValueCache}. */
        GENERATION;

        /** Training, with or without gradient checkpointing. */
        public static Use training(boolean checkpointed) {
            return checkpointed ? CHECKPOINTED_TRAINING : TRAINING;
        }

        public boolean isTraining() {
            return this == TRAINING || this == CHECKPOINTED_TRAINING;
        }
    }

    /**
     * The largest block of logits that is ever whole, in bytes of float32. Each block reads the output head anew: with half of this
     * a vocabulary of 151,936 allows 96 rows, and a step of Qwen2.5-0.5B takes 4 % longer.
     */
    private static final long LOGITS_BYTES = 128L << 20;

    /** What only backward needs; T rows. */
    record Gradients(
            Tensor residual,
            Tensor normed,
            Tensor query,
            Tensor key,
            Tensor value,
            Tensor attended,
            Tensor activated) {}

    /** What the output head works in; C rows a chunk. */
    record HeadBuffers(
            Tensor rowIndex,
            Tensor targets,
            Tensor losses,
            Tensor gathered,
            Tensor rstd,
            Tensor normed,
            Tensor logits,
            @Nullable Tensor logitGradients,
            @Nullable Tensor normedGradient) {}

    private final Use use;
    private final int maxRows;
    private final int maxPositions;
    private final int logitRows;
    private final List<LayerBuffers> layers;
    private final Tensor tokens;
    private final Tensor positions;
    private final Tensor cosSin;
    private final Tensor normed;
    private final Tensor activated;
    private final Tensor output;
    private final @Nullable Gradients gradients;
    private final HeadBuffers head;
    private final LoraBuffers lora;
    private final BottleneckBuffers.@Nullable Shared bottlenecks;
    private int ropeLength;

    /** Buffers for passes over {@code model}. */
    public static DecoderBuffers of(Allocator allocator, LanguageModel model, int maxRows, int maxPositions, Use use) {
        return new DecoderBuffers(
                allocator,
                model.decoder().config(),
                model.precision(),
                model.adapters(),
                model.bottlenecks(),
                maxRows,
                maxPositions,
                use);
    }

    /** For decoders without bottleneck modules. */
    public DecoderBuffers(
            Allocator allocator,
            DecoderConfig config,
            Precision precision,
            List<LoraAdapter> adapters,
            int maxRows,
            int maxPositions,
            Use use) {
        this(allocator, config, precision, adapters, null, maxRows, maxPositions, use);
    }

    /**
     * @param maxRows tokens of the largest batch
     * @param maxPositions the longest sequence
     * @param adapters that may take part in a pass
     * @param bottlenecks the modules in the decoder; null for none
     */
    public DecoderBuffers(
            Allocator allocator,
            DecoderConfig config,
            Precision precision,
            List<LoraAdapter> adapters,
            @Nullable BottleneckConfig bottlenecks,
            int maxRows,
            int maxPositions,
            Use use) {
        this.use = use;
        this.maxRows = TokenBatch.paddedRows(maxRows);
        this.maxPositions = Math.max(maxPositions, TokenBatch.ROW_MULTIPLE);
        DType compute = precision.compute();
        boolean training = use.isTraining();
        int rows = this.maxRows;
        int d = config.hiddenSize();
        this.layers = layers(allocator, config, bottlenecks, rows, compute);
        this.tokens = allocator.tensor(MemoryKind.WORKSPACE, "tokens", DType.I32, 1, rows);
        this.positions = allocator.tensor(MemoryKind.WORKSPACE, "positions", DType.I32, 1, rows);
        this.cosSin =
                allocator.tensor(MemoryKind.WORKSPACE, "rotary table", DType.F32, this.maxPositions, config.headDim());
        this.normed = allocator.bordered(MemoryKind.WORKSPACE, "normed", compute, rows, d);
        this.activated = allocator.bordered(MemoryKind.WORKSPACE, "swiglu", compute, rows, config.intermediateSize());
        this.output = training
                ? allocator.tensor(MemoryKind.ACTIVATIONS, "output", compute, rows, d)
                : layers.getFirst().x();
        this.gradients = training ? gradients(allocator, config, rows, compute) : null;
        int wanted = Math.clamp(LOGITS_BYTES / (4L * config.vocabSize()), 1, use == Use.GENERATION ? 1 : rows);
        this.logitRows =
                wanted >= TokenBatch.ROW_MULTIPLE ? wanted / TokenBatch.ROW_MULTIPLE * TokenBatch.ROW_MULTIPLE : wanted;
        this.head = head(allocator, config, rows, compute);
        this.lora = new LoraBuffers(allocator, adapters, rows, logitRows, precision, keep(use));
        this.bottlenecks = bottlenecks == null
                ? null
                : BottleneckBuffers.Shared.allocate(allocator, rows, d, bottlenecks.size(), compute, training);
    }

    private List<LayerBuffers> layers(
            Allocator allocator,
            DecoderConfig config,
            @Nullable BottleneckConfig bottlenecks,
            int rows,
            DType compute) {
        boolean ownKeys = use != Use.GENERATION;
        List<LayerBuffers> all = new ArrayList<>(config.layers());
        for (int layer = 0; layer < config.layers(); layer++) {
            String name = "layer " + layer;
            if (layer == 0 || use == Use.TRAINING) {
                all.add(LayerBuffers.allocate(allocator, config, bottlenecks, name, rows, compute, ownKeys));
            } else if (use == Use.CHECKPOINTED_TRAINING) {
                all.add(all.getFirst().withOwnInput(allocator, name));
            } else {
                all.add(all.getFirst());
            }
        }
        return all;
    }

    private static LoraBuffers.Keep keep(Use use) {
        return switch (use) {
            case TRAINING -> LoraBuffers.Keep.ALL_LAYERS;
            case CHECKPOINTED_TRAINING -> LoraBuffers.Keep.ONE_LAYER;
            case EVALUATION, GENERATION -> LoraBuffers.Keep.NOTHING;
        };
    }

    private static Gradients gradients(Allocator allocator, DecoderConfig config, int rows, DType compute) {
        MemoryKind kind = MemoryKind.WORKSPACE;
        int d = config.hiddenSize();
        return new Gradients(
                allocator.bordered(kind, "d residual", compute, rows, d),
                allocator.tensor(kind, "d normed", compute, rows, d),
                heads(allocator, config, "dq", compute, rows, config.queryWidth()),
                heads(allocator, config, "dk", compute, rows, config.keyValueWidth()),
                allocator.bordered(kind, "dv", compute, rows, config.keyValueWidth()),
                allocator.tensor(kind, "d attended", compute, rows, config.queryWidth()),
                allocator.tensor(kind, "d swiglu", compute, rows, config.intermediateSize()));
    }

    /** Gradients of queries and keys are read head by head where heads are normalised, which leaves no room for a border. */
    private static Tensor heads(
            Allocator allocator, DecoderConfig config, String name, DType compute, int rows, int width) {
        return config.queryKeyNorm()
                ? allocator.tensor(MemoryKind.WORKSPACE, name, compute, rows, width)
                : allocator.bordered(MemoryKind.WORKSPACE, name, compute, rows, width);
    }

    private HeadBuffers head(Allocator allocator, DecoderConfig config, int rows, DType compute) {
        MemoryKind kind = MemoryKind.WORKSPACE;
        int d = config.hiddenSize();
        int c = logitRows;
        Tensor logits = allocator.tensor(kind, "logits", DType.F32, c, config.vocabSize());
        Tensor logitGradients = null;
        Tensor normedGradient = null;
        if (use.isTraining()) {
            logitGradients =
                    compute == DType.F32 ? logits : allocator.tensor(kind, "d logits", compute, c, config.vocabSize());
            normedGradient = allocator.tensor(kind, "d head input", compute, c, d);
        }
        return new HeadBuffers(
                allocator.tensor(kind, "target rows", DType.I32, 1, rows),
                allocator.tensor(kind, "targets", DType.I32, 1, rows),
                allocator.tensor(kind, "losses", DType.F32, 1, rows),
                allocator.tensor(kind, "target hidden", compute, c, d),
                allocator.tensor(kind, "target rstd", DType.F32, 1, c),
                allocator.tensor(kind, "head input", compute, c, d),
                logits,
                logitGradients,
                normedGradient);
    }

    public Use use() {
        return use;
    }

    /** Tokens of the largest batch that fits. */
    public int maxRows() {
        return maxRows;
    }

    /** The longest sequence that fits. */
    public int maxPositions() {
        return maxPositions;
    }

    /** The buffers of the adapters' low-rank parts. */
    public LoraBuffers lora() {
        return lora;
    }

    /** What the bottleneck modules share. */
    BottleneckBuffers.Shared bottlenecks() {
        if (bottlenecks == null) {
            throw new IllegalStateException("these buffers were set up for a decoder without bottleneck modules");
        }
        return bottlenecks;
    }

    LayerBuffers layer(int index) {
        return layers.get(index);
    }

    /** The residual stream that enters layer {@code index}, or leaves the last one. */
    Tensor residual(int index) {
        return index < layers.size() ? layers.get(index).x() : output;
    }

    Tensor tokens() {
        return tokens;
    }

    Tensor positions() {
        return positions;
    }

    Tensor cosSin() {
        return cosSin;
    }

    Tensor normed() {
        return normed;
    }

    Tensor activated() {
        return activated;
    }

    Gradients gradients() {
        if (gradients == null) {
            throw new IllegalStateException("these buffers were set up for inference");
        }
        return gradients;
    }

    HeadBuffers head() {
        return head;
    }

    /** Rows of logits computed at a time. */
    int logitRows() {
        return logitRows;
    }

    /** Whether the rotary table must be written for sequences of {@code length}; remembers that it was. */
    boolean takeRopeChange(int length, boolean dependsOnLength) {
        int wanted = dependsOnLength ? length : 1;
        boolean changed = ropeLength != wanted;
        ropeLength = wanted;
        return changed;
    }
}
