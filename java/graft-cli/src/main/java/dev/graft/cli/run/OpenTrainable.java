package dev.graft.cli.run;

import dev.graft.bottleneck.BottleneckFile;
import dev.graft.cli.options.TrainRequest;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.io.Checkpoint;
import dev.graft.lora.PeftAdapter;
import dev.graft.model.BottleneckModel;
import dev.graft.model.FullModel;
import dev.graft.model.LoraModel;
import dev.graft.model.PretrainedModel;
import dev.graft.model.Trainable;
import dev.graft.train.Method;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * What a run trains, opened with all that it stands on.
 *
 * @param model what is trained
 * @param base the frozen model under it; null where nothing is frozen
 * @param weightsFile the file under {@code --out} that holds what was trained
 */
public record OpenTrainable(Trainable model, @Nullable PretrainedModel base, String weightsFile, Runnable closer)
        implements AutoCloseable {

    /**
     * Opens what {@code request} asks for, with its starting values.
     *
     * @param force whether to go on where an adapter to start from was trained on another base
     */
    public static OpenTrainable open(TrainRequest request, Engine engine, Precision precision, boolean force) {
        return switch (request.method()) {
            case Method.Lora lora ->
                onBase(
                        request,
                        engine,
                        precision,
                        base -> attach(base, request, lora, force),
                        PeftAdapter.WEIGHTS_FILE);
            case Method.Adapter modules ->
                onBase(
                        request,
                        engine,
                        precision,
                        base -> attach(base, request, modules, force),
                        BottleneckFile.WEIGHTS_FILE);
            case Method.JointLora joint -> throw new IllegalArgumentException("several adapters are no single model");
            case Method.Full full -> {
                FullModel model = FullModel.load(request.model(), engine, precision);
                yield new OpenTrainable(model, null, Checkpoint.SINGLE_FILE, model::close);
            }
        };
    }

    private static OpenTrainable onBase(
            TrainRequest request,
            Engine engine,
            Precision precision,
            Function<PretrainedModel, Trainable> attach,
            String weightsFile) {
        PretrainedModel base = PretrainedModel.load(request.model(), engine, precision);
        try {
            return new OpenTrainable(attach.apply(base), base, weightsFile, base::close);
        } catch (RuntimeException e) {
            base.close();
            throw e;
        }
    }

    private static LoraModel attach(PretrainedModel base, TrainRequest request, Method.Lora lora, boolean force) {
        PeftAdapter start = request.start();
        if (start == null) {
            return base.attach(lora.config(), request.train().seed());
        }
        OpenModel.requireBase(start.folder(), start.base(), base, force);
        return base.attach(start, lora.config(), true);
    }

    private static BottleneckModel attach(
            PretrainedModel base, TrainRequest request, Method.Adapter modules, boolean force) {
        BottleneckFile start = modules.start();
        if (start == null) {
            return base.attach(modules.config(), request.train().seed());
        }
        OpenModel.requireBase(start.folder(), start.base(), base, force);
        return base.attach(start, true);
    }

    /** The fingerprint of all frozen weights as they lie in the engine's memory now; 0 where nothing is frozen. */
    public long frozenFingerprint() {
        if (model instanceof LoraModel adapted) {
            return adapted.residentFingerprint();
        }
        return base == null ? 0 : base.residentFingerprint();
    }

    @Override
    public void close() {
        closer.run();
    }
}
