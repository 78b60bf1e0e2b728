package dev.graft.cuda;

import dev.graft.engine.Engine;
import dev.graft.engine.profile.EngineCalls;
import dev.graft.tensor.TensorView;
import java.util.function.Consumer;

/** An engine that shows each weight that it froze. */
final class FreezeListener {
    private FreezeListener() {}

    static Engine over(Engine engine, Consumer<TensorView> frozen) {
        return EngineCalls.through(
                (method, arguments, call) -> {
                    Object result = call.make();
                    if (method.getName().equals("freeze")) {
                        frozen.accept((TensorView) result);
                    }
                    return result;
                },
                engine);
    }
}
