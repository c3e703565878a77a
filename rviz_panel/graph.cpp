#include "graph.hpp"

#include <chrono>
#include <cstdint>
#include <utility>

#include <diagnostic_msgs/msg/diagnostic_array.hpp>
#include <std_msgs/msg/string.hpp>

#include <medal_ros/msg/evaluation.hpp>
#include <medal_ros/msg/label.hpp>
#include <medal_ros/msg/learner.hpp>
#include <medal_ros/msg/reward.hpp>
#include <medal_ros/msg/state.hpp>

namespace medal_panel
{
namespace
{

std::string trimmed(std::string name)
{
  while (!name.empty() && name.front() == '/') {name.erase(0, 1);}
  while (!name.empty() && name.back() == '/') {name.pop_back();}
  return name;
}

}  // namespace

double seconds()
{
  using namespace std::chrono;
  return duration_cast<duration<double>>(steady_clock::now().time_since_epoch()).count();
}

Graph::Graph(rclcpp::Node::SharedPtr node, const std::string & graph_namespace)
: node_(std::move(node)), namespace_(trimmed(graph_namespace)), model_(seconds())
{
  listen();
  for (const Request & request : kRequests) {
    switch (request.kind) {
      case Kind::flag: client<SetBool>(request.service); break;
      case Kind::trigger: client<Trigger>(request.service); break;
      case Kind::policy: client<SwitchPolicy>(request.service); break;
      case Kind::label: client<Label>(request.service); break;
    }
  }
  parameters_ = client<GetParameters>("supervisor/get_parameters");
}

template<class Message, class Take>
void Graph::subscribe(const std::string & topic, const rclcpp::QoS & qos, Take && take)
{
  const std::string name = topic[0] == '/' ? topic :
    (namespace_.empty() ? "/" : "/" + namespace_ + "/") + topic;
  subscriptions_.push_back(
    node_->create_subscription<Message>(
      name, qos, [take](typename Message::ConstSharedPtr message) {take(*message);}));
}

void Graph::listen()
{
  const rclcpp::QoS history = rclcpp::QoS(200).reliable().transient_local();
  const rclcpp::QoS stream = rclcpp::QoS(200).reliable();
  const rclcpp::QoS latched = rclcpp::QoS(1).reliable().transient_local();
  subscribe<medal_ros::msg::State>(
    "state", history, [this](const medal_ros::msg::State & m) {
      const auto & at = m.header.stamp;
      model_.on_state(
        {at.sec + 1e-9 * at.nanosec, m.sequence, m.mode, m.agent, m.segment, m.index, m.steps,
          m.total_steps, m.interventions, m.reason}, seconds());
    });
  subscribe<medal_ros::msg::Reward>(
    "reward", stream, [this](const medal_ros::msg::Reward & m) {
      model_.on_reward(m.forward, m.backward, m.success_probability, seconds());
    });
  subscribe<medal_ros::msg::Learner>(
    "learner", latched, [this](const medal_ros::msg::Learner & m) {
      model_.on_learner({m.stored, m.refused, m.owed, m.dropped, m.updates_per_second}, seconds());
    });
  subscribe<medal_ros::msg::Evaluation>(
    "evaluation", history, [this](const medal_ros::msg::Evaluation & m) {
      model_.on_evaluation({m.agent, m.steps, m.episodes, m.success});
    });
  subscribe<medal_ros::msg::Label>(
    "label", history, [this](const medal_ros::msg::Label & m) {
      model_.on_label(m.label, m.segment);
    });
  subscribe<std_msgs::msg::String>(
    "arm/help", latched, [this](const std_msgs::msg::String & m) {model_.on_arm_help(m.data);});
  subscribe<diagnostic_msgs::msg::DiagnosticArray>(
    "/diagnostics", rclcpp::QoS(50), [this](const diagnostic_msgs::msg::DiagnosticArray & m) {
      const std::string begin = namespace_.empty() ? "" : namespace_ + "/";
      for (const auto & status : m.status) {
        const std::string & id = status.hardware_id;
        if (id.size() > begin.size() && id.compare(0, begin.size(), begin) == 0) {
          model_.on_heartbeat(
            id.substr(begin.size()), status.level != status.OK, status.message, seconds());
        }
      }
    });
}

template<class Service>
typename rclcpp::Client<Service>::SharedPtr Graph::client(const std::string & name)
{
  auto & known = clients_[name];
  if (!known) {
    const std::string begin = namespace_.empty() ? "/" : "/" + namespace_ + "/";
    known = node_->create_client<Service>(begin + name);
  }
  return std::static_pointer_cast<rclcpp::Client<Service>>(known);
}

template<class Service>
void Graph::send(Button button, typename Service::Request::SharedPtr request)
{
  using Answer = typename rclcpp::Client<Service>::SharedFuture;
  const auto server = client<Service>(request_of(button).service);
  const auto id = server->async_send_request(
    std::move(request), [this, button](Answer answer) {
      give_up_.erase(button);
      model_.on_answer(button, answer.get()->success, answer.get()->message);
    }).request_id;
  give_up_[button] = [server, id] {server->remove_pending_request(id);};
}

void Graph::press(Button button)
{
  const Request & request = request_of(button);
  if (!model_.press(button, seconds())) {return;}
  switch (request.kind) {
    case Kind::flag: {
        auto flag = std::make_shared<SetBool::Request>();
        flag->data = std::string(request.argument) == "true";
        return send<SetBool>(button, flag);
      }
    case Kind::trigger:
      return send<Trigger>(button, std::make_shared<Trigger::Request>());
    case Kind::policy: {
        auto policy = std::make_shared<SwitchPolicy::Request>();
        policy->policy = request.argument;
        return send<SwitchPolicy>(button, policy);
      }
    case Kind::label: {
        auto label = std::make_shared<Label::Request>();
        label->label = request.argument;
        return send<Label>(button, label);
      }
  }
}

void Graph::poll()
{
  const double now = seconds();
  for (const Request & request : kRequests) {
    model_.on_offer(request.button, clients_[request.service]->service_is_ready());
  }
  for (const Button button : model_.expire(now)) {
    const auto request = give_up_.extract(button);
    if (!request.empty()) {request.mapped()();}
  }
  ask_for_parameters(now);
}

void Graph::ask_for_parameters(double now)
{
  if (model_.knows_segments() || now < ask_after_ || !parameters_->service_is_ready()) {return;}
  ask_after_ = now + Model::kPatience;
  parameters_->prune_pending_requests();
  auto request = std::make_shared<GetParameters::Request>();
  request->names = {"segment_steps", "alternate"};
  parameters_->async_send_request(
    request, [this](rclcpp::Client<GetParameters>::SharedFuture answer) {
      const auto & values = answer.get()->values;
      if (values.size() == 2 && values[0].integer_value > 0) {
        model_.on_parameters(
          static_cast<std::uint64_t>(values[0].integer_value), values[1].bool_value);
      }
    });
}

}  // namespace medal_panel
