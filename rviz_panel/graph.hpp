// The panel's end of a graph: topics in, requests out. Nothing here waits.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <rcl_interfaces/srv/get_parameters.hpp>
#include <rclcpp/rclcpp.hpp>
#include <std_srvs/srv/set_bool.hpp>
#include <std_srvs/srv/trigger.hpp>

#include <medal_ros/srv/label.hpp>
#include <medal_ros/srv/switch_policy.hpp>

#include "model.hpp"

namespace medal_panel
{

// Seconds of a clock that never goes back.
double seconds();

// Feeds a model from a namespace and sends what a person asks for. Whoever spins the node must do
// so in the thread that calls `press`, `poll` and the destructor.
class Graph
{
public:
  Graph(rclcpp::Node::SharedPtr node, const std::string & graph_namespace);

  // Sends the request behind a button, if it has a meaning now; its answer goes to the model.
  void press(Button button);

  // Looks who offers services, gives up on answers that did not come, asks for parameters.
  void poll();

  Model & model() {return model_;}

private:
  using GetParameters = rcl_interfaces::srv::GetParameters;
  using SetBool = std_srvs::srv::SetBool;
  using Trigger = std_srvs::srv::Trigger;
  using SwitchPolicy = medal_ros::srv::SwitchPolicy;
  using Label = medal_ros::srv::Label;

  void listen();
  template<class Message, class Take>
  void subscribe(const std::string & topic, const rclcpp::QoS & qos, Take && take);
  template<class Service>
  typename rclcpp::Client<Service>::SharedPtr client(const std::string & name);
  template<class Service>
  void send(Button button, typename Service::Request::SharedPtr request);
  void ask_for_parameters(double now);

  rclcpp::Node::SharedPtr node_;
  std::string namespace_;  // without slashes at its ends; may be empty
  Model model_;
  std::vector<rclcpp::SubscriptionBase::SharedPtr> subscriptions_;
  std::map<std::string, rclcpp::ClientBase::SharedPtr> clients_;
  std::map<Button, std::function<void()>> give_up_;  // on the answer to a button's request
  rclcpp::Client<GetParameters>::SharedPtr parameters_;
  double ask_after_ = 0.0;  // when parameters may be asked for again
};

}  // namespace medal_panel
