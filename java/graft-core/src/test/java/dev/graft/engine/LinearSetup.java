package dev.graft.engine;

import dev.graft.engine.EngineFixture.Layout;
import dev.graft.tensor.DType;
import dev.graft.tensor.TensorView;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Linear layers that share one input, with their adapters, made for one forward or backward call under test. */
final class LinearSetup {
    /** Which rows have adapters. */
    enum Adapters {
        NONE,
        /** One adapter over all rows. */
        ONE,
        /** Four of different ranks and scales, one of them without rows; some rows belong to none. */
        SEVERAL
    }

    /** One adapter: what the engine gets and what the reference gets. */
    record Term(
            ReferenceLinear.Lora reference,
            Operand a,
            Operand b,
            Operand hidden,
            @Nullable Operand dropped,
            @Nullable Operand gradientA,
            @Nullable Operand gradientB,
            @Nullable Operand hiddenGradient) {
        LoraTerm term() {
            LoraTerm.Gradients gradients = gradientA == null || gradientB == null || hiddenGradient == null
                    ? null
                    : new LoraTerm.Gradients(gradientA.tensor(), gradientB.tensor(), hiddenGradient.tensor());
            return new LoraTerm(
                    reference.fromRow(),
                    reference.toRow(),
                    a.tensor(),
                    b.tensor(),
                    (float) reference.scale(),
                    hidden.tensor(),
                    reference.dropout(),
                    dropped == null ? null : dropped.tensor(),
                    gradients);
        }

        /** h before the call, the adapter's rows. */
        Matrix hiddenBefore() {
            return hidden.before().rows(0, reference.toRow() - reference.fromRow());
        }
    }

    /**
     * One layer. {@code y} is the output of a forward call, dy of a backward call.
     *
     * @param frozen the weight as the engine froze it, to be used instead; null for an ordinary matrix
     */
    record Layer(
            Operand weight,
            @Nullable TensorView frozen,
            @Nullable Operand bias,
            List<Term> terms,
            Operand y,
            @Nullable Operand residual,
            @Nullable Operand weightGradient,
            @Nullable Operand biasGradient) {
        Projection projection() {
            return new Projection(
                    frozen == null ? weight.tensor() : frozen,
                    bias == null ? null : bias.tensor(),
                    terms.stream().map(Term::term).toList(),
                    y.tensor(),
                    residual == null ? null : residual.tensor(),
                    weightGradient == null ? null : weightGradient.tensor(),
                    biasGradient == null ? null : biasGradient.tensor());
        }
    }

    private final EngineFixture fixture;
    private final DType dtype;
    private final Layout layout;
    private final boolean forward;
    private final boolean bordered;
    private final Operand x;
    private final List<Layer> layers = new ArrayList<>();

    /**
     * @param forward whether outputs are to be written; otherwise they are given, as for a backward call
     */
    LinearSetup(EngineFixture fixture, DType dtype, Layout layout, boolean forward, int rows, int inputs) {
        this(fixture, dtype, layout, forward, false, rows, inputs);
    }

    private LinearSetup(
            EngineFixture fixture,
            DType dtype,
            Layout layout,
            boolean forward,
            boolean bordered,
            int rows,
            int inputs) {
        this.fixture = fixture;
        this.dtype = dtype;
        this.layout = layout;
        this.forward = forward;
        this.bordered = bordered;
        this.x = given(rows, inputs);
    }

    /** As in a model: x and y with the engine's border, weights frozen. */
    static LinearSetup bordered(EngineFixture fixture, DType dtype, boolean forward, int rows, int inputs) {
        return new LinearSetup(fixture, dtype, Layout.PACKED, forward, true, rows, inputs);
    }

    private Operand given(int rows, int cols) {
        return bordered ? fixture.borderedInput(dtype, rows, cols) : fixture.input(dtype, rows, cols, layout);
    }

    /** An activation that the call writes. */
    Operand written(int rows, int cols) {
        return bordered ? fixture.borderedOutput(dtype, rows, cols) : fixture.output(dtype, rows, cols, layout);
    }

    Operand x() {
        return x;
    }

    List<Layer> layers() {
        return layers;
    }

    List<Projection> projections() {
        return layers.stream().map(Layer::projection).toList();
    }

    int rows() {
        return x.tensor().rows();
    }

    int inputs() {
        return x.tensor().cols();
    }

    /** Adds a layer: with a bias and trainable, or with a residual and frozen. */
    LinearSetup layer(int outputs, boolean trainable, Adapters adapters, int rank, @Nullable Dropout dropout) {
        Operand y = forward ? written(rows(), outputs) : given(rows(), outputs);
        boolean gradients = trainable && !forward;
        Operand weight = fixture.input(dtype, outputs, inputs(), layout);
        layers.add(new Layer(
                weight,
                bordered ? fixture.frozen(weight) : null,
                trainable ? fixture.input(dtype, 1, outputs, layout) : null,
                terms(outputs, adapters, rank, dropout),
                y,
                trainable || !forward ? null : fixture.input(dtype, rows(), outputs, layout),
                gradients ? fixture.updated(DType.F32, outputs, inputs(), layout) : null,
                gradients ? fixture.updated(DType.F32, 1, outputs, layout) : null));
        return this;
    }

    /** Adds a layer over the weight of the last one. */
    LinearSetup layerOverTheSameWeight(Adapters adapters, int rank) {
        Layer last = layers.getLast();
        int outputs = last.weight().tensor().rows();
        Operand y = forward ? written(rows(), outputs) : given(rows(), outputs);
        layers.add(new Layer(
                last.weight(), last.frozen(), null, terms(outputs, adapters, rank, null), y, null, null, null));
        return this;
    }

    private List<Term> terms(int outputs, Adapters adapters, int rank, @Nullable Dropout dropout) {
        int m = rows();
        return switch (adapters) {
            case NONE -> List.of();
            case ONE -> List.of(randomTerm(0, m, rank, outputs, 0.5, dropout));
            case SEVERAL ->
                List.of(
                        randomTerm(m / 8, m / 3, 3, outputs, 0.25, dropout),
                        randomTerm(m / 3, m / 3, 4, outputs, 1, dropout),
                        randomTerm(m / 2, 3 * m / 4, 1, outputs, 2, null),
                        randomTerm(3 * m / 4, m, 16, outputs, 0.5, dropout));
        };
    }

    private Term randomTerm(int from, int to, int rank, int outputs, double scale, @Nullable Dropout dropout) {
        Matrix a = Matrix.of(rank, inputs(), fixture.normal(dtype, rank * inputs()));
        Matrix b = Matrix.of(outputs, rank, fixture.normal(dtype, outputs * rank));
        return term(new ReferenceLinear.Lora(from, to, a, b, scale, dropout));
    }

    /** An adapter's operands. In pitched layouts its scratch is larger than its rows need. */
    Term term(ReferenceLinear.Lora lora) {
        int rank = lora.a().rows();
        int spare = layout == Layout.PITCHED ? 2 : 0;
        int scratchRows = lora.toRow() - lora.fromRow() + spare;
        Operand hidden;
        if (forward) {
            hidden = fixture.output(dtype, scratchRows, rank, layout);
        } else {
            Matrix values = Matrix.zeros(scratchRows, rank).map(zero -> Double.NaN);
            Matrix own = ReferenceLinear.loraHidden(x.before(), lora);
            System.arraycopy(own.values(), 0, values.values(), 0, own.values().length);
            hidden = fixture.input(dtype, values, layout);
        }
        return new Term(
                lora,
                fixture.input(dtype, lora.a(), layout),
                fixture.input(dtype, lora.b(), layout),
                hidden,
                lora.dropout() == null ? null : fixture.scratch(dtype, scratchRows, inputs(), layout),
                forward ? null : fixture.updated(DType.F32, rank, inputs(), layout),
                forward ? null : fixture.updated(DType.F32, lora.b().rows(), rank, layout),
                forward ? null : fixture.scratch(dtype, scratchRows, rank, layout));
    }

    /** Adds a layer with one given adapter and nothing else: weight 0 in {@code [outputs, inputs]}. */
    LinearSetup adapterAlone(ReferenceLinear.Lora lora) {
        int outputs = lora.b().rows();
        Operand y = forward
                ? fixture.output(dtype, rows(), outputs, layout)
                : fixture.input(dtype, rows(), outputs, layout);
        layers.add(new Layer(
                fixture.input(dtype, Matrix.zeros(outputs, inputs()), layout),
                null,
                null,
                List.of(term(lora)),
                y,
                null,
                null,
                null));
        return this;
    }
}
