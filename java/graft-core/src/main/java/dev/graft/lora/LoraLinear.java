package dev.graft.lora;

import dev.graft.engine.Engine;
import dev.graft.engine.MemoryKind;
import dev.graft.engine.Precision;
import dev.graft.engine.Workspace;
import dev.graft.nn.FlatParameters;
import dev.graft.nn.Linear;
import dev.graft.nn.Weight;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * One linear layer with a low-rank adapter, over a weight of one's own and without any model around it:
 *
 * <pre>
 *   y  = x W0ᵀ + s (dropout(x) Aᵀ) Bᵀ          s = α / r, or α / √r with rsLoRA
 *   dx = dy W0 + s (dy B) A,   dA += s (dy B)ᵀ x,   dB += s dyᵀ (x Aᵀ)
 * </pre>
 *
 * and with DoRA {@code y = (x W0ᵀ + s (x Aᵀ) Bᵀ) · m / ‖W0 + s B A‖}, m [1, out] starting at {@code ‖W0‖} (row by row). W0 [out, in]
 * is frozen: it has no gradient and is never written. A [r, in] and B [out, r] start by the configuration's
 * {@link AdapterInit}, so that the layer starts as W0. Matrices come and go as float32 arrays, row by
 * row; inside, W0 and activations have the precision's dtype. A training step with {@code dev.graft.train.Optimizer}:
 *
 * <pre>{@code
 * float[] y = layer.forward(x, rows);
 * layer.backward(gradientOfLoss(y));
 * optimizer.step(engine, adamW); // over layer.parameters(); sets the gradients to zero
 * }</pre>
 *
 * <p>Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (2021).
 */
public final class LoraLinear implements AutoCloseable {
    private static final String NAME = "linear";

    private final Engine engine;
    private final Workspace workspace;
    /** The frozen weight in float32: W0, or what is left of it where A and B took over a part. */
    private final float[] unadapted;

    private final Linear linear;
    private final LoraAdapter adapter;
    private final LoraBuffers buffers;
    private final Tensor x;
    private final Tensor y;
    private final Tensor dx;
    private final long seed;
    private int passes;
    private @Nullable LoraPass lastPass;

    private LoraLinear(
            Engine engine,
            Precision precision,
            float[] weight,
            LinearModule module,
            LoraConfig config,
            Options options) {
        this.engine = engine;
        this.workspace = new Workspace(engine);
        this.unadapted = weight.clone();
        this.seed = options.seed();
        try {
            int rows = options.maxRows();
            var dtype = precision.compute();
            TargetMatcher.Match match = new TargetMatcher.Match(module, config.rank(), config.alpha());
            this.adapter = LoraAdapter.create(config, List.of(match), workspace, precision, true);
            this.buffers =
                    new LoraBuffers(workspace, List.of(adapter), rows, rows, precision, LoraBuffers.Keep.ALL_LAYERS);
            this.x = workspace.tensor(MemoryKind.ACTIVATIONS, "x", dtype, rows, module.in());
            this.y = workspace.tensor(MemoryKind.ACTIVATIONS, "y and dy", dtype, rows, module.out());
            this.dx = workspace.tensor(MemoryKind.WORKSPACE, "dx", dtype, rows, module.in());
            start(config);
            Tensor frozen = workspace.tensor(MemoryKind.FROZEN_WEIGHTS, "W0", dtype, module.out(), module.in());
            engine.upload(unadapted, frozen);
            this.linear = new Linear(NAME, new Weight(NAME, frozen.asReadOnly(), null), null);
            adapter.startMagnitudes(engine, name -> frozen);
        } catch (RuntimeException | Error e) {
            workspace.close();
            throw e;
        }
    }

    private void start(LoraConfig config) {
        if (!config.init().changesBase()) {
            adapter.initialise(engine, seed);
            return;
        }
        LowRankFactors start = PrincipalStart.of(config.init(), unadapted, module(), seed);
        PrincipalStart.subtract(unadapted, start, module());
        adapter.takeOver(engine, Map.of(NAME, start));
    }

    private record Options(long seed, int maxRows) {}

    /**
     * A layer over {@code weight}, with gradients at zero.
     *
     * @param weight W0, [out, in] row by row; copied
     * @param config rank, alpha, dropout, rsLoRA, DoRA and how A and B start; which layers it targets does not matter here
     * @param seed of A and of dropout
     * @param maxRows rows of the largest x
     */
    public static LoraLinear create(
            Engine engine,
            Precision precision,
            float[] weight,
            int out,
            int in,
            LoraConfig config,
            long seed,
            int maxRows) {
        if (out < 1 || in < 1 || maxRows < 1 || weight.length != (long) out * in) {
            throw new IllegalArgumentException("a weight of " + weight.length + " numbers as [" + out + ", " + in
                    + "], for up to " + maxRows + " rows");
        }
        LinearModule module = new LinearModule(NAME, out, in, false);
        return new LoraLinear(engine, precision, weight, module, config, new Options(seed, maxRows));
    }

    /** As above, without dropout, A Gaussian. */
    public static LoraLinear create(
            Engine engine,
            Precision precision,
            float[] weight,
            int out,
            int in,
            int rank,
            double alpha,
            long seed,
            int maxRows) {
        LoraConfig config = LoraConfig.builder().rank(rank).alpha(alpha).build();
        return create(engine, precision, weight, out, in, config, seed, maxRows);
    }

    /**
     * The layer's output. Each call draws a dropout mask of its own.
     *
     * @param input x, [rows, in] row by row
     * @return y, [rows, out]
     */
    public float[] forward(float[] input, int rows) {
        if (rows < 1 || rows > x.rows() || input.length != (long) rows * linear.in()) {
            throw new IllegalArgumentException("an input of " + input.length + " numbers as [" + rows + ", "
                    + linear.in() + "], for a layer of up to " + x.rows() + " rows");
        }
        LoraPass pass = new LoraPass(List.of(new AdapterRange(adapter, 0, rows)), buffers, true, seed, passes++);
        Tensor output = y.rows(0, rows);
        engine.upload(input, x.rows(0, rows));
        pass.forward(engine, x.rows(0, rows), List.of(new LayerCall(linear, output)));
        lastPass = pass;
        return engine.download(output);
    }

    /**
     * The gradient of the last {@link #forward}; dA and dB are added to the gradients of {@link #parameters}.
     *
     * @param outputGradient dy, [rows, out] of the last forward
     * @return dx, [rows, in]
     */
    public float[] backward(float[] outputGradient) {
        LoraPass pass = lastPass;
        if (pass == null) {
            throw new IllegalStateException("backward needs a forward before it");
        }
        int rows = pass.ranges().getFirst().rows();
        if (outputGradient.length != (long) rows * linear.out()) {
            throw new IllegalArgumentException("a gradient of " + outputGradient.length + " numbers for an output of ["
                    + rows + ", " + linear.out() + "]");
        }
        Tensor dy = y.rows(0, rows);
        Tensor inputGradient = dx.rows(0, rows);
        engine.upload(outputGradient, dy);
        pass.backward(engine, x.rows(0, rows), List.of(new LayerCall(linear, dy)), inputGradient);
        return engine.download(inputGradient);
    }

    /** A and B, and DoRA's m, flat, with their gradients: what an optimizer updates. */
    public FlatParameters parameters() {
        return adapter.parameters();
    }

    /** A, [r, in]. */
    public float[] a() {
        return engine.download(parameters().value(module().a()));
    }

    /** B, [out, r]. */
    public float[] b() {
        return engine.download(parameters().value(module().b()));
    }

    /** DoRA's m, [1, out]. */
    public float[] magnitude() {
        return engine.download(parameters().value(magnitudeSlot()));
    }

    /** Sets A and B; m stays as it is. */
    public void setWeights(float[] a, float[] b) {
        engine.upload(a, parameters().value(module().a()));
        engine.upload(b, parameters().value(module().b()));
        parameters().refresh(engine);
    }

    /** Sets A, B and DoRA's m. */
    public void setWeights(float[] a, float[] b, float[] magnitude) {
        engine.upload(magnitude, parameters().value(magnitudeSlot()));
        setWeights(a, b);
    }

    /** dA, [r, in]. */
    public float[] gradientA() {
        return engine.download(parameters().gradient(module().a()));
    }

    /** dB, [out, r]. */
    public float[] gradientB() {
        return engine.download(parameters().gradient(module().b()));
    }

    /** dm, [1, out]. */
    public float[] gradientMagnitude() {
        return engine.download(parameters().gradient(magnitudeSlot()));
    }

    /** s. */
    public float scale() {
        return module().scale();
    }

    /** The frozen weight as products read it: in the compute dtype. */
    public TensorView weight() {
        return linear.weight().value();
    }

    /** {@code W0 + s B A}, with DoRA its rows scaled to m, in float32 from the weight as it was given, [out, in]. */
    public float[] merge() {
        int in = linear.in();
        float[] a = a();
        float[] b = b();
        float[] magnitude = module().magnitude() == null ? null : magnitude();
        float[] merged = new float[unadapted.length];
        for (int row = 0; row < linear.out(); row++) {
            float[] weightRow = Arrays.copyOfRange(unadapted, row * in, (row + 1) * in);
            LoraDelta.addRow(weightRow, row, a, b, scale());
            if (magnitude != null) {
                LoraDelta.scaleRow(weightRow, magnitude[row]);
            }
            System.arraycopy(weightRow, 0, merged, row * in, in);
        }
        return merged;
    }

    private FlatParameters.Slot magnitudeSlot() {
        return Objects.requireNonNull(module().magnitude(), "this layer has no magnitude: it is not DoRA's");
    }

    private LoraModule module() {
        return adapter.modules().getFirst();
    }

    /** Frees all memory; closing twice does no harm. */
    @Override
    public void close() {
        workspace.close();
    }
}
