package dev.graft.engine;

/** Makes a call over a {@link LinearSetup} and holds all that it wrote against the float64 reference. */
final class LinearAssertions {
    private LinearAssertions() {}

    static void forward(EngineFixture fixture, LinearSetup setup) {
        fixture.run(() -> fixture.engine().linearForward(setup.x().tensor(), setup.projections()));
        for (LinearSetup.Layer layer : setup.layers()) {
            LinearBounds y = LinearBounds.output(setup, layer);
            layer.y().assertClose("y", y.value(), y.bound());
            for (LinearSetup.Term term : layer.terms()) {
                LinearBounds hidden = LinearBounds.hidden(setup, term);
                term.hidden().assertClose("hidden", hidden.value(), hidden.bound());
            }
        }
    }

    static void backward(EngineFixture fixture, LinearSetup setup) {
        Operand dx = setup.written(setup.rows(), setup.inputs());
        fixture.run(() -> fixture.engine().linearBackward(setup.x().tensor(), setup.projections(), dx.tensor()));
        LinearBounds expected = LinearBounds.inputGradient(setup);
        dx.assertClose("dx", expected.value(), expected.bound());
        parameterGradients(setup);
    }

    /** dA, dB, dW and dbias of the call just made. */
    static void parameterGradients(LinearSetup setup) {
        for (LinearSetup.Layer layer : setup.layers()) {
            for (LinearSetup.Term term : layer.terms()) {
                Operand a = term.gradientA();
                LinearBounds expectedA = LinearBounds.gradientA(setup, layer, term, a.before());
                a.assertClose("dA", expectedA.value(), expectedA.bound());
                Operand b = term.gradientB();
                LinearBounds expectedB = LinearBounds.gradientB(setup, layer, term, b.before());
                b.assertClose("dB", expectedB.value(), expectedB.bound());
            }
            if (layer.weightGradient() != null) {
                Operand weight = layer.weightGradient();
                LinearBounds expected = LinearBounds.weightGradient(setup, layer, weight.before());
                weight.assertClose("dW", expected.value(), expected.bound());
            }
            if (layer.biasGradient() != null) {
                Operand bias = layer.biasGradient();
                LinearBounds expected = LinearBounds.biasGradient(setup, layer, bias.before());
                bias.assertClose("dbias", expected.value(), expected.bound());
            }
        }
    }
}
